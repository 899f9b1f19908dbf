//! Roles of simulated hosts, which determine their size, load and processes.

#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: &'static str,
    pub(super) tag: &'static str,
    pub(super) cpus: u32,
    pub(super) memory_gib: f64,
    pub(super) disk_gib: f64,
    /// Average share of its processors in use, and the amplitude of the daily swing.
    pub(super) demand: (f64, f64),
    pub(super) volatility: f64,
    /// Average seconds between bursts, which use all processors.
    pub(super) burst_period_s: f64,
    pub(super) memory: f64,
    pub(super) disk: f64,
    /// Bytes per second received, sent, read and written at full load.
    pub(super) throughput: [f64; 4],
    /// Temperature when idle, in degrees Celsius.
    pub(super) idle_degrees: f64,
    /// The programs that use most; the last runs only during bursts.
    pub(super) programs: &'static [Program],
}

#[derive(Debug)]
pub(super) struct Program {
    pub(super) command: &'static str,
    pub(super) user: &'static str,
    pub(super) cpu: f64,
    pub(super) memory: f64,
    /// Shares of the bytes that the host reads and writes.
    pub(super) disk: [f64; 2],
    pub(super) threads: u32,
    pub(super) in_bursts: bool,
}

impl Program {
    const fn new(
        command: &'static str,
        user: &'static str,
        cpu: f64,
        memory: f64,
        disk: [f64; 2],
        threads: u32,
    ) -> Self {
        Self {
            command,
            user,
            cpu,
            memory,
            disk,
            threads,
            in_bursts: false,
        }
    }

    const fn burst(
        command: &'static str,
        user: &'static str,
        cpu: f64,
        memory: f64,
        disk: [f64; 2],
        threads: u32,
    ) -> Self {
        Self {
            in_bursts: true,
            ..Self::new(command, user, cpu, memory, disk, threads)
        }
    }
}

macro_rules! role {
    (
        $name:literal, $tag:literal, $cpus:literal cpus, $memory_gib:literal GiB memory at $memory:literal,
        $disk_gib:literal GiB disk at $disk:literal, demand $demand:expr, volatility $volatility:literal,
        burst every $burst_period_s:literal s, bytes $throughput:expr, $idle_degrees:literal degrees,
        [$($program:expr,)*]
    ) => {
        Role {
            name: $name,
            tag: $tag,
            cpus: $cpus,
            memory_gib: $memory_gib,
            disk_gib: $disk_gib,
            demand: $demand,
            volatility: $volatility,
            burst_period_s: $burst_period_s,
            memory: $memory,
            disk: $disk,
            throughput: $throughput,
            idle_degrees: $idle_degrees,
            programs: &[$($program),*],
        }
    };
}

#[rustfmt::skip]
pub(super) const ROLES: [Role; 8] = [
    role!("web", "shop", 4 cpus, 8.0 GiB memory at 0.55, 80.0 GiB disk at 0.38,
        demand (0.30, 0.20), volatility 0.05, burst every 900.0 s, bytes [12e6, 60e6, 0.2e6, 2e6], 41.0 degrees, [
        Program::new("nginx: worker process", "www-data", 0.3, 0.08, [0.1, 0.2], 1),
        Program::new("/usr/bin/node", "shop", 0.52, 0.55, [0.1, 0.2], 11),
        Program::new("/usr/bin/redis-server", "redis", 0.04, 0.12, [0.0, 0.05], 5),
        Program::new("/usr/bin/vector", "vector", 0.05, 0.06, [0.1, 0.4], 8),
        Program::burst("/usr/bin/convert", "shop", 0.85, 0.05, [0.5, 0.1], 1),
    ]),
    role!("db", "shop", 16 cpus, 128.0 GiB memory at 0.88, 2000.0 GiB disk at 0.71,
        demand (0.35, 0.15), volatility 0.04, burst every 1200.0 s, bytes [25e6, 40e6, 180e6, 90e6], 48.0 degrees, [
        Program::new("postgres: walwriter", "postgres", 0.06, 0.03, [0.0, 0.45], 1),
        Program::new("postgres: checkpointer", "postgres", 0.04, 0.3, [0.0, 0.3], 1),
        Program::new("postgres: shop app", "postgres", 0.42, 0.28, [0.45, 0.05], 1),
        Program::new("postgres: shop report", "postgres", 0.22, 0.2, [0.4, 0.0], 1),
        Program::new("/usr/bin/pgbouncer", "pgbouncer", 0.05, 0.01, [0.0, 0.0], 2),
        Program::burst("postgres: autovacuum worker", "postgres", 0.8, 0.1, [0.6, 0.3], 1),
    ]),
    role!("cache", "shop", 8 cpus, 64.0 GiB memory at 0.79, 40.0 GiB disk at 0.22,
        demand (0.18, 0.10), volatility 0.02, burst every 5000.0 s, bytes [80e6, 90e6, 0.0, 0.1e6], 44.0 degrees, [
        Program::new("/usr/bin/redis-server", "redis", 0.88, 0.92, [0.0, 0.9], 5),
        Program::new("/usr/bin/redis-sentinel", "redis", 0.04, 0.01, [0.0, 0.0], 4),
    ]),
    role!("build", "lab", 32 cpus, 128.0 GiB memory at 0.34, 1000.0 GiB disk at 0.63,
        demand (0.10, 0.08), volatility 0.03, burst every 150.0 s, bytes [8e6, 2e6, 120e6, 260e6], 46.0 degrees, [
        Program::new("/usr/local/bin/build-agent", "build", 0.1, 0.04, [0.05, 0.05], 14),
        Program::new("/usr/bin/sccache", "build", 0.3, 0.1, [0.4, 0.3], 34),
        Program::new("/usr/lib/ld", "build", 0.2, 0.12, [0.2, 0.3], 1),
        Program::burst("rustc", "build", 0.95, 0.35, [0.3, 0.5], 18),
    ]),
    role!("worker", "lab", 8 cpus, 16.0 GiB memory at 0.61, 200.0 GiB disk at 0.44,
        demand (0.55, 0.25), volatility 0.08, burst every 600.0 s, bytes [4e6, 4e6, 8e6, 12e6], 52.0 degrees, [
        Program::new("/usr/bin/python3", "jobs", 0.7, 0.55, [0.5, 0.4], 9),
        Program::new("/usr/bin/ffmpeg", "jobs", 0.18, 0.2, [0.3, 0.4], 16),
        Program::new("/usr/bin/rabbitmq", "rabbitmq", 0.07, 0.1, [0.1, 0.1], 40),
        Program::burst("/usr/bin/tar", "jobs", 0.8, 0.02, [0.8, 0.1], 1),
    ]),
    role!("nas", "home", 4 cpus, 32.0 GiB memory at 0.42, 16000.0 GiB disk at 0.915,
        demand (0.07, 0.04), volatility 0.02, burst every 400.0 s, bytes [40e6, 110e6, 240e6, 110e6], 38.0 degrees, [
        Program::new("/usr/sbin/smbd", "root", 0.45, 0.2, [0.5, 0.4], 3),
        Program::new("/usr/sbin/nfsd", "root", 0.25, 0.02, [0.3, 0.3], 1),
        Program::new("/usr/bin/syncthing", "backup", 0.15, 0.3, [0.1, 0.2], 22),
        Program::burst("/usr/bin/restic", "backup", 0.75, 0.25, [0.9, 0.05], 12),
    ]),
    role!("desk", "home", 12 cpus, 32.0 GiB memory at 0.47, 1000.0 GiB disk at 0.52,
        demand (0.12, 0.10), volatility 0.06, burst every 300.0 s, bytes [6e6, 1e6, 30e6, 20e6], 43.0 degrees, [
        Program::new("/usr/lib/firefox/firefox", "user", 0.38, 0.4, [0.1, 0.3], 96),
        Program::new("/usr/bin/gnome-shell", "user", 0.22, 0.14, [0.0, 0.05], 24),
        Program::new("/usr/bin/code", "user", 0.2, 0.24, [0.2, 0.2], 31),
        Program::new("/usr/bin/pipewire", "user", 0.04, 0.01, [0.0, 0.0], 3),
        Program::burst("/usr/bin/cc1plus", "user", 0.9, 0.15, [0.4, 0.4], 1),
    ]),
    role!("edge", "cloud", 2 cpus, 2.0 GiB memory at 0.66, 20.0 GiB disk at 0.57,
        demand (0.08, 0.05), volatility 0.03, burst every 1500.0 s, bytes [2e6, 9e6, 0.1e6, 0.4e6], 39.0 degrees, [
        Program::new("/usr/bin/caddy", "caddy", 0.6, 0.25, [0.1, 0.4], 9),
        Program::new("/usr/bin/wireguard-go", "root", 0.2, 0.05, [0.0, 0.0], 6),
        Program::burst("/usr/bin/unattended-upgrade", "root", 0.8, 0.2, [0.4, 0.6], 2),
    ]),
];
