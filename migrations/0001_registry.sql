-- The registry's own tables: what was pushed, under which names, and where the bytes are.
-- Names sort by their bytes (collate "C"), so that pages come in one order whatever the locale of the database is.

create table namespaces (
  id bigint generated always as identity primary key,
  name text collate "C" not null unique,
  created_at timestamptz not null default now()
);

create table repositories (
  id bigint generated always as identity primary key,
  namespace_id bigint not null references namespaces,
  name text collate "C" not null unique,
  created_at timestamptz not null default now()
);
create index repositories_by_namespace on repositories (namespace_id);

-- One row per digest for the whole registry. The bytes are elsewhere: see blob_locations.
create table blobs (
  id bigint generated always as identity primary key,
  digest text collate "C" not null unique,
  size bigint not null check (size >= 0),
  created_at timestamptz not null default now()
);

-- Under which key a storage location has a blob. Several locations: the same bytes in several stores.
create table blob_locations (
  blob_id bigint not null references blobs on delete cascade,
  location text collate "C" not null,
  key text not null,
  created_at timestamptz not null default now(),
  primary key (blob_id, location)
);

-- Which blobs a repository may show: the row that authorises a GET, made by a push or a mount.
create table repository_blobs (
  repository_id bigint not null references repositories on delete cascade,
  blob_id bigint not null references blobs,
  created_at timestamptz not null default now(),
  primary key (repository_id, blob_id)
);
create index repository_blobs_by_blob on repository_blobs (blob_id);

-- Uploads under way. The repository is a name: it comes into being with its first blob or manifest.
-- `holder` is the request that writes to it just now, for as long as `held_until` lies ahead.
create table uploads (
  id uuid primary key,
  repository text collate "C" not null,
  algorithm text,
  location text collate "C" not null,
  byte_offset bigint not null default 0 check (byte_offset >= 0),
  driver_state json,
  holder uuid,
  held_until timestamptz,
  started_at timestamptz not null default now()
);
create index uploads_by_start on uploads (started_at);
create index uploads_by_holder on uploads (holder) where holder is not null;

-- A manifest belongs to a repository. `payload` has the bytes exactly as pushed. `artifact_type` and `annotations`
-- are what the referrers API shows; json and not jsonb, because jsonb refuses \u0000.
-- `deleted_at`: gone for every client, kept until no tag's history can bring it back.
create table manifests (
  id bigint generated always as identity primary key,
  repository_id bigint not null references repositories on delete cascade,
  digest text collate "C" not null,
  media_type text not null,
  artifact_type text,
  subject_digest text collate "C",
  annotations json,
  -- config and layers, each counted once; without the manifest itself and without the children of an index
  content_size bigint not null,
  payload bytea not null,
  pushed_at timestamptz not null default now(),
  deleted_at timestamptz,
  unique (repository_id, digest)
);
create index manifests_by_subject on manifests (repository_id, subject_digest, digest)
  where subject_digest is not null and deleted_at is null;
-- Manifests are read whole and by primary key; most are too small to gain from compression.
alter table manifests alter column payload set storage external;

-- What a manifest needs: its config and layers ...
create table manifest_blobs (
  manifest_id bigint not null references manifests on delete cascade,
  blob_id bigint not null references blobs,
  repository_id bigint not null,
  primary key (manifest_id, blob_id)
);
create index manifest_blobs_by_blob on manifest_blobs (blob_id, repository_id);

-- ... those of them that were not there yet when it was pushed, where such manifests are taken: a blob is in use when
-- either table says so ...
create table manifest_absent_blobs (
  manifest_id bigint not null references manifests on delete cascade,
  digest text collate "C" not null,
  repository_id bigint not null,
  primary key (manifest_id, digest)
);
create index manifest_absent_blobs_by_digest on manifest_absent_blobs (digest, repository_id);

-- ... and, for an index, its children: by digest, since a child may be pushed later or never.
create table manifest_children (
  manifest_id bigint not null references manifests on delete cascade,
  child_digest text collate "C" not null,
  repository_id bigint not null,
  primary key (manifest_id, child_digest)
);
create index manifest_children_by_child on manifest_children (repository_id, child_digest);

-- One row per lifetime of a tag: moving a tag ends one row and begins another, so its history is all here.
create table tags (
  id bigint generated always as identity primary key,
  repository_id bigint not null references repositories on delete cascade,
  name text collate "C" not null,
  manifest_id bigint not null references manifests on delete cascade,
  lifetime_start timestamptz not null default clock_timestamp(),
  lifetime_end timestamptz
);
create unique index tags_live on tags (repository_id, name) where lifetime_end is null;
create index tags_history on tags (repository_id, name, lifetime_start);
create index tags_by_manifest on tags (manifest_id);
