-- Who logs in, what belongs to whom, and who may do what. Without accounts (`auth.accounts`) these tables stay empty.

create type repository_role as enum ('read', 'write', 'admin');
create type team_role as enum ('member', 'creator', 'admin');

-- 'open': came into being by a push without accounts. With accounts a namespace is a user's or an organization's.
alter table namespaces
  add column kind text not null default 'open' check (kind in ('open', 'user', 'organization')),
  add column email text,
  add column contact_email text,
  add column invoice_email boolean not null default false,
  add column invoice_email_address text,
  -- for how long ended tags can be brought back
  add column tag_expiration_s integer not null default 1209600 check (tag_expiration_s >= 0);

-- A deleted repository is gone for every client. It is renamed, so that its name is free at once, and belongs to no
-- namespace any more, so that its namespace may go too; its rows go later.
alter table repositories
  add column visibility text not null default 'private' check (visibility in ('public', 'private')),
  add column description text not null default '',
  add column state text not null default 'normal' check (state in ('normal', 'read_only', 'mirror')),
  add column deleted_at timestamptz,
  alter column namespace_id drop not null,
  add check ((namespace_id is null) = (deleted_at is not null));
create index repositories_public on repositories (name) where visibility = 'public' and deleted_at is null;
-- Lists of a namespace are paged by the name.
drop index repositories_by_namespace;
create index repositories_by_namespace on repositories (namespace_id, name);

-- `reversion`: a lifetime that began by bringing back an older one. The newest tags come first in lists.
alter table tags add column reversion boolean not null default false;
create index tags_by_start on tags (repository_id, lifetime_start desc, name);
create index tags_live_by_start on tags (repository_id, lifetime_start desc, name) where lifetime_end is null;

-- An upload is its repository's and the one's who began it.
alter table uploads add column owner text not null default '';

-- Whoever logs in: a user, who has the namespace of the same name, or a robot (`namespace+short name`) of a namespace.
create table accounts (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('user', 'robot')),
  name text collate "C" not null unique,
  namespace_id bigint not null references namespaces on delete cascade,
  enabled boolean not null default true,
  created_at timestamptz not null default now(),
  last_accessed_at timestamptz
);
create unique index accounts_user_of_namespace on accounts (namespace_id) where kind = 'user';
create index accounts_robots_of_namespace on accounts (namespace_id, name) where kind = 'robot';

-- `password_hash`: bcrypt; null where the user can't log in by one.
create table users (
  account_id bigint primary key references accounts on delete cascade,
  password_hash text,
  email text,
  verified boolean not null default true,
  superuser boolean not null default false,
  given_name text,
  family_name text,
  company text,
  location text
);
create unique index users_by_email on users (lower(email));

-- `token`: encrypted, since its owner may look at it again.
create table robots (
  account_id bigint primary key references accounts on delete cascade,
  description text not null default '',
  token bytea not null,
  metadata json not null default '{}'
);

create table teams (
  id bigint generated always as identity primary key,
  namespace_id bigint not null references namespaces on delete cascade,
  name text collate "C" not null,
  role team_role not null,
  description text not null default '',
  unique (namespace_id, name)
);

create table team_members (
  team_id bigint not null references teams on delete cascade,
  account_id bigint not null references accounts on delete cascade,
  primary key (team_id, account_id)
);
create index team_members_by_account on team_members (account_id);

-- Users who were asked to join a team, and have not said yes.
create table team_invites (
  code text primary key,
  team_id bigint not null references teams on delete cascade,
  account_id bigint references accounts on delete cascade,
  email text,
  inviter_id bigint references accounts on delete set null,
  created_at timestamptz not null default now(),
  check (num_nonnulls(account_id, email) = 1)
);
create unique index team_invites_by_account on team_invites (team_id, account_id) where account_id is not null;
create unique index team_invites_by_email on team_invites (team_id, lower(email)) where email is not null;

-- What a user, a robot or a team may do in a repository.
create table repository_permissions (
  id bigint generated always as identity primary key,
  repository_id bigint not null references repositories on delete cascade,
  account_id bigint references accounts on delete cascade,
  team_id bigint references teams on delete cascade,
  role repository_role not null,
  check (num_nonnulls(account_id, team_id) = 1)
);
create unique index repository_permissions_by_account on repository_permissions (account_id, repository_id) where account_id is not null;
create unique index repository_permissions_by_team on repository_permissions (team_id, repository_id) where team_id is not null;
create index repository_permissions_by_repository on repository_permissions (repository_id);

-- What a repository that is created in an organization begins with: permissions for a user, a robot or a team, where
-- `creator_id` creates it, or anyone does.
create table default_permissions (
  id uuid primary key default gen_random_uuid(),
  namespace_id bigint not null references namespaces on delete cascade,
  creator_id bigint references accounts on delete cascade,
  account_id bigint references accounts on delete cascade,
  team_id bigint references teams on delete cascade,
  role repository_role not null,
  check (num_nonnulls(account_id, team_id) = 1)
);
create index default_permissions_by_namespace on default_permissions (namespace_id);

create table stars (
  account_id bigint not null references accounts on delete cascade,
  repository_id bigint not null references repositories on delete cascade,
  created_at timestamptz not null default now(),
  primary key (account_id, repository_id)
);
create index stars_by_repository on stars (repository_id);

-- The keys that Bearer tokens are signed with: any process signs with the newest and takes the tokens of all that have
-- not expired. The private half is encrypted.
create table signing_keys (
  id text primary key,
  algorithm text not null,
  public_key json not null,
  private_key bytea not null,
  created_at timestamptz not null default now(),
  signs_until timestamptz not null,
  expires_at timestamptz not null
);

-- Secrets that were shown once are kept as SHA-256 of what has 128 bits of chance at least; those that their owner may
-- look at again are encrypted as well.

-- `offline_token`: what `docker login` may keep in place of the password.
create table refresh_tokens (
  hash bytea primary key,
  account_id bigint not null references accounts on delete cascade,
  client_id text,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  last_accessed_at timestamptz
);
create index refresh_tokens_by_account on refresh_tokens (account_id);

-- Application-specific tokens: a user's own, in the password's place.
create table app_tokens (
  id uuid primary key default gen_random_uuid(),
  account_id bigint not null references accounts on delete cascade,
  title text not null,
  hash bytea not null unique,
  token bytea not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_accessed_at timestamptz
);
create index app_tokens_by_account on app_tokens (account_id);

create table oauth_applications (
  client_id text primary key,
  namespace_id bigint not null references namespaces on delete cascade,
  name text not null,
  client_secret bytea not null,
  redirect_uri text not null default '',
  application_uri text not null default '',
  description text not null default '',
  avatar_email text,
  created_at timestamptz not null default now()
);
create index oauth_applications_by_namespace on oauth_applications (namespace_id, name);

-- An application's token acts as its user, within its scopes.
create table oauth_tokens (
  id uuid primary key default gen_random_uuid(),
  application_id text not null references oauth_applications on delete cascade,
  account_id bigint not null references accounts on delete cascade,
  name text not null default '',
  hash bytea not null unique,
  scopes text[] not null,
  created_by bigint references accounts on delete set null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  last_accessed_at timestamptz
);
create index oauth_tokens_by_application on oauth_tokens (application_id, created_at, id);
create index oauth_tokens_by_account on oauth_tokens (account_id);

-- What a user's consent gives to an application: good for one token, within a minute.
create table oauth_codes (
  hash bytea primary key,
  application_id text not null references oauth_applications on delete cascade,
  account_id bigint not null references accounts on delete cascade,
  redirect_uri text not null,
  scopes text[] not null,
  expires_at timestamptz not null
);
create index oauth_codes_by_end on oauth_codes (expires_at);

-- Sessions of browsers. `hash`: of what the cookie has. `authenticated_at`: when the password was entered last.
create table sessions (
  hash bytea primary key,
  account_id bigint not null references accounts on delete cascade,
  csrf_token text not null,
  created_at timestamptz not null default now(),
  authenticated_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index sessions_by_account on sessions (account_id);
create index sessions_by_end on sessions (expires_at);

-- Codes that were mailed or printed: to recover an account.
create table recovery_codes (
  hash bytea primary key,
  account_id bigint not null references accounts on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index recovery_codes_by_account on recovery_codes (account_id);

-- Labels that users gave to a manifest; those of its config are read from there.
create table manifest_labels (
  id uuid primary key default gen_random_uuid(),
  manifest_id bigint not null references manifests on delete cascade,
  key text collate "C" not null,
  value text not null,
  media_type text not null,
  created_at timestamptz not null default now()
);
create index manifest_labels_by_manifest on manifest_labels (manifest_id, key);
