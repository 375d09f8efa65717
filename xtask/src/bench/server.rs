//! The nginx that is measured: one worker on a core of its own, and its counter of requests.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::report::float;
use crate::shell;

/// Time in which nginx answers what was under way when a load ended.
const LAST_REQUESTS: Duration = Duration::from_millis(300);

/// A running nginx; it ends with this value.
pub(super) struct Server {
    master: Child,
    worker: u32,
    port: u16,
    status_port: u16,
    folder: PathBuf,
}

/// What nginx did during one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) requests: u64,
    pub(super) elapsed: Duration,
    cpu: Duration,
}

impl Measured {
    pub(super) fn requests_f64(&self) -> f64 {
        float(self.requests)
    }

    pub(super) fn cpu_ns_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e9 / self.requests_f64()
    }
}

impl Server {
    /// Starts nginx on one core and waits until it answers.
    pub(super) fn start(core: usize) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("wirespan-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let (port, status_port) = (free_port()?, free_port()?);
        let config = folder.join("nginx.conf");
        fs::write(
            &config,
            configuration(&folder.to_string_lossy(), port, status_port),
        )?;
        let nginx = shell::which("nginx").context("no nginx")?;
        let master = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(nginx)
            .arg("-c")
            .arg(&config)
            .args(["-e", &folder.join("error.log").to_string_lossy()])
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start nginx")?;
        let mut server = Self {
            master,
            worker: 0,
            port,
            status_port,
            folder,
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while server.requests().is_err() {
            if Instant::now() > deadline {
                bail!("nginx does not answer on port {status_port}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        let master = server.master.id();
        let children = format!("/proc/{master}/task/{master}/children");
        server.worker = fs::read_to_string(&children)
            .with_context(|| format!("cannot read {children}"))?
            .split_whitespace()
            .next()
            .context("nginx has no worker")?
            .parse()?;
        Ok(server)
    }

    /// The port that the load goes to.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Runs a load and returns what nginx did for it, by nginx's and the kernel's own counts.
    pub(super) fn measure(&self, load: impl FnOnce(&Self) -> Result<()>) -> Result<Measured> {
        let begun = Instant::now();
        let (requests, cpu) = (self.requests()?, self.cpu()?);
        load(self)?;
        let cpu = self.cpu()?.saturating_sub(cpu);
        let elapsed = begun.elapsed();
        // The load ends with requests under way, which nginx still answers and the agent sees.
        thread::sleep(LAST_REQUESTS);
        // The counter counts the request that reads it.
        let requests = self.requests()?.saturating_sub(requests).saturating_sub(1);
        if requests == 0 {
            bail!("nginx answered no request during the run");
        }
        Ok(Measured {
            requests,
            elapsed,
            cpu,
        })
    }

    /// One request on a connection of its own.
    pub(super) fn request(&self) -> Result<()> {
        get(self.port, "/").map(|_| ())
    }

    /// CPU time of the worker, to the nanosecond.
    fn cpu(&self) -> Result<Duration> {
        let path = format!("/proc/{}/schedstat", self.worker);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let run: u64 = text
            .split_whitespace()
            .next()
            .context("an empty schedstat")?
            .parse()?;
        Ok(Duration::from_nanos(run))
    }

    /// Requests since the start, by the module `stub_status`.
    fn requests(&self) -> Result<u64> {
        let text = get(self.status_port, "/")?;
        // After "server accepts handled requests" comes a line of three numbers.
        let numbers = text
            .lines()
            .skip_while(|line| !line.starts_with("server accepts"))
            .nth(1);
        let requests = numbers.and_then(|line| line.split_whitespace().nth(2)?.parse().ok());
        requests.context("nginx's status has no number of requests")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.master.id()) {
            // SAFETY: kill takes two numbers and touches no memory; the child is not reaped yet.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        // Nothing is left to do about a failure while leaving.
        let _ = self.master.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port of the loopback interface that nobody uses now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// The whole answer to one HTTP/1.0 request.
fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn configuration(folder: &str, port: u16, status_port: u16) -> String {
    format!(
        "user root;\ndaemon off;\nworker_processes 1;\n\n\
         pid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 1100; }}\n\
         http {{\n\
           access_log off;\n  keepalive_requests 1000000000;\n  keepalive_timeout 3600;\n\
           client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n\
           fastcgi_temp_path {folder}/fastcgi;\n  uwsgi_temp_path {folder}/uwsgi;\n\
           scgi_temp_path {folder}/scgi;\n\
           server {{ listen 127.0.0.1:{port} backlog=4096;\n\
             location / {{ return 200 \"0123456789\"; }} }}\n\
           server {{ listen 127.0.0.1:{status_port}; location / {{ stub_status; }} }}\n\
         }}\n"
    )
}
