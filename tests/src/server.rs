//! Real services, each on a free port of this host, stopped when dropped.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    artifacts,
    plan::{Dialect, FILE_SIZES},
    process::{Process, free_port, wait_listening},
};

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nginx with two workers, sendfile on as Debian has it.
    Nginx,
    /// Apache httpd with its event module.
    Apache,
    /// Python's http.server, HTTP/1.1, a thread for each connection.
    PythonThreads,
    /// Python's http.server, HTTP/1.1, a process for each connection.
    PythonForks,
    /// Python's wsgiref, HTTP/1.0, a thread for each connection.
    Wsgi,
    /// Node's http.
    Node,
    /// Go's net/http.
    Go,
    /// Java's com.sun.net.httpserver with a pool of threads.
    Java,
    /// Rust's hyper.
    Hyper,
    /// Python's hypercorn.
    Hypercorn,
}

impl Kind {
    /// What it understands.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Nginx => Dialect::Files,
            Self::Apache => Dialect::FilesByPost,
            Self::Wsgi => Dialect::NoChunks,
            _ => Dialect::Full,
        }
    }

    /// `service.name` of its spans.
    #[must_use]
    pub fn service(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "apache2",
            Self::PythonThreads | Self::PythonForks => "http_server",
            Self::Wsgi => "wsgi",
            Self::Node => "server",
            Self::Go => "go-server",
            Self::Java => "Server",
            Self::Hyper => "hyper-service",
            Self::Hypercorn => "asgi",
        }
    }

    fn command(self, host: &str, port: u16, directory: &Path, http2: bool) -> Result<Command> {
        let listen = format!("{host}:{port}");
        let mut command = match self {
            Self::Nginx if http2 => return nginx(&format!("{listen} http2"), directory),
            Self::Nginx => return nginx(&listen, directory),
            Self::Apache => return apache(&listen, directory),
            Self::PythonThreads => python(&["http_server.py", "threads"]),
            Self::PythonForks => python(&["http_server.py", "forks"]),
            Self::Wsgi => python(&["wsgi.py"]),
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(artifacts::program("node/server.js"));
                command
            }
            Self::Go => Command::new(artifacts::go_server()?),
            Self::Java => {
                let mut command = artifacts::java()?;
                command.arg("Server");
                command
            }
            Self::Hyper => Command::new(artifacts::rust_program("hyper-service")?),
            Self::Hypercorn => artifacts::python_program("asgi.py")?,
        };
        if http2 {
            command.env("HTTP2", "1");
        }
        command.arg(host).arg(port.to_string());
        Ok(command)
    }
}

fn python(arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(artifacts::program("python").join(arguments[0]))
        .args(&arguments[1..])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A running service.
#[derive(Debug)]
pub struct Server {
    process: Process,
    directory: TempDir,
    /// Where it listens.
    pub port: u16,
}

impl Server {
    /// Starts a service on 127.0.0.1 and waits until it listens.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(kind: Kind) -> Result<Self> {
        Self::start_with(kind, "127.0.0.1", &[], &[])
    }

    /// Starts a service that speaks HTTP/2 in plain text: all by prior knowledge, Go and hypercorn
    /// by upgrade too.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_http2(kind: Kind) -> Result<Self> {
        Self::launch(kind, "127.0.0.1", true, |_| ())
    }

    /// Starts a service that calls another.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_before(kind: Kind, downstream: &Self) -> Result<Self> {
        Self::start_with(kind, "127.0.0.1", &[&downstream.base()], &[])
    }

    /// Starts a service on an address of this host, with more arguments and environment.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(
        kind: Kind,
        host: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        Self::launch(kind, host, false, |command| {
            command.args(arguments).envs(environment.iter().copied());
        })
    }

    fn launch(
        kind: Kind,
        host: &str,
        http2: bool,
        amend: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let port = free_port()?;
        let directory = tempfile::tempdir()?;
        let mut command = kind.command(host, port, directory.path(), http2)?;
        amend(&mut command);
        let server = Self::spawn(&mut command, directory, port)?;
        let address = SocketAddr::new(host.trim_matches(['[', ']']).parse()?, port);
        wait_listening(address).with_context(|| format!("{kind:?}: {}", server.log()))?;
        Ok(server)
    }

    /// Starts a command as a service on `port`; it is not waited for.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: &mut Command, directory: TempDir, port: u16) -> Result<Self> {
        let log = fs::File::create(directory.path().join("output"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(Self {
            process: Process::spawn(command)?,
            directory,
            port,
        })
    }

    /// Where clients find it, without a path.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process, for a multi-process server the first one.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("output")).unwrap_or_default()
    }
}

/// Writes the files that static servers serve; gives their directory.
fn documents(directory: &Path) -> Result<PathBuf> {
    let root = directory.join("root");
    fs::create_dir_all(root.join("bytes"))?;
    fs::create_dir_all(root.join("put"))?;
    for size in FILE_SIZES {
        let file = root.join("bytes").join(size.to_string());
        fs::write(file, vec![b'x'; usize::try_from(size)?])?;
    }
    // Both servers add a page to an error unless a document for it is given; this is one.
    fs::write(root.join("empty"), "")?;
    fs::write(root.join("chunked.shtml"), vec![b'c'; 20_000])?;
    Ok(root)
}

/// An nginx that listens where told (`address:port`, `unix:path`).
///
/// # Errors
/// When its files cannot be written.
pub fn nginx(listen: &str, directory: &Path) -> Result<Command> {
    let root = documents(directory)?;
    let prefix = directory.display();
    let statuses: String = [404, 500, 204, 304]
        .map(|code| format!("location = /status/{code} {{ return {code}; }}\n"))
        .concat();
    // Workers must stay root: they read files of a directory that is ours alone.
    let config = format!(
        "user root;
worker_processes 2;
daemon off;
pid {prefix}/pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    client_max_body_size 10m;
    access_log off;
    default_type text/html;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    server {{
        listen {listen};
        root {};
        error_page 404 500 /empty;
        {statuses}
        location = /requests {{ stub_status; }}
        location = /chunked.shtml {{ ssi on; }}
        location /put/ {{ dav_methods PUT; }}
    }}
}}
",
        root.display()
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(directory).arg("-c").arg(&file);
    command.args(["-e", "stderr"]);
    Ok(command)
}

fn apache(listen: &str, directory: &Path) -> Result<Command> {
    let root = documents(directory)?;
    // Its workers never run as root, and temporary directories are their owner's alone.
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    let modules: String = [
        "mpm_event",
        "authz_core",
        "include",
        "filter",
        "mime",
        "alias",
        "rewrite",
        "dir",
        "env",
    ]
    .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
    .concat();
    // A status from 300 to 399 needs a URL.
    let statuses: String = [(404, ""), (500, ""), (204, ""), (304, "/")]
        .map(|(code, url)| format!("Redirect {code} /status/{code} {url}\n"))
        .concat();
    let config = format!(
        "{modules}
ServerRoot {0}
ServerName localhost
User www-data
Group www-data
PidFile {0}/pid
ErrorLog /dev/stderr
Listen {listen}
StartServers 2
MaxKeepAliveRequests 0
KeepAliveTimeout 30
DocumentRoot {1}
TypesConfig /dev/null
AddType text/html .shtml
<Directory {1}>
    Require all granted
    Options +Includes
    AddOutputFilter INCLUDES .shtml
    XBitHack off
</Directory>
ErrorDocument 404 /empty
ErrorDocument 500 /empty
{statuses}",
        directory.display(),
        root.display()
    );
    let file = directory.join("apache.conf");
    fs::write(&file, config)?;
    let mut command = Command::new("apache2");
    command.arg("-f").arg(&file).arg("-DFOREGROUND");
    Ok(command)
}
