/**
 * How the embedded Postgres is set: durable, and small. Given on the command line at each start, above anything in
 * the cluster's own files, so that the settings of a new version of Berth also hold for data of an old one.
 */
export interface SettingsOptions {
  /** The folder of the socket. */
  sockets: string
  port: number
  /** What stands in the titles of its processes. */
  clusterName: string
  /** False gives up what keeps data over a power cut, for speed: for tests. */
  fsync: boolean
}

/** @returns names and values, as in postgresql.conf but without its quotes */
export function postgresSettings({ sockets, port, clusterName, fsync }: SettingsOptions): Record<string, string> {
  const durable = fsync ? 'on' : 'off'
  return {
    // Reachable by this machine's own socket only.
    listen_addresses: '',
    port: String(port),
    // A list; the quotes keep a comma or a blank in the path from splitting it.
    unix_socket_directories: `"${sockets.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    max_connections: '40',
    superuser_reserved_connections: '3',

    fsync: durable,
    full_page_writes: durable,
    synchronous_commit: durable,
    // No replicas, so the log carries what a recovery after a crash needs and no more.
    wal_level: 'minimal',
    max_wal_senders: '0',
    max_wal_size: '256MB',
    min_wal_size: '32MB',

    shared_buffers: '32MB',
    maintenance_work_mem: '32MB',
    huge_pages: 'off',
    // Memory of its own, and for what grows a file of the cluster: after a kill neither is left behind, and the
    // /dev/shm of a container is small. (Postgres takes 56 bytes of System V memory whatever one sets, as a lock; those
    // of a postmaster that was killed are taken over by the next.)
    shared_memory_type: 'mmap',
    dynamic_shared_memory_type: 'mmap',
    min_dynamic_shared_memory: '1MB',

    // As few processes as can be.
    io_method: 'sync',
    max_worker_processes: '0',
    max_parallel_workers: '0',
    max_parallel_workers_per_gather: '0',
    max_parallel_maintenance_workers: '0',
    max_logical_replication_workers: '0',
    autovacuum: 'on',
    autovacuum_worker_slots: '2',
    autovacuum_max_workers: '2',
    jit: 'off',

    log_destination: 'stderr',
    logging_collector: 'off',
    // What server-log.ts reads: the SQLSTATE, then the level.
    log_line_prefix: '%e ',
    log_min_messages: 'warning',
    log_checkpoints: 'off',
    log_autovacuum_min_duration: '-1',
    lc_messages: 'C',
    timezone: 'UTC',
    log_timezone: 'UTC',
    cluster_name: clusterName,
  }
}
