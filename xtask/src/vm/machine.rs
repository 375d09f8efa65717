//! The emulated machine: starts it with this machine's root, waits for its end, cleans up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::image::Image;

/// Memory of the guest in MiB.
const MEMORY: u32 = 2048;

/// A child that does not outlive this value.
struct Helper(Child);

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about a failure here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots the image, runs a command in it as root, and waits until the machine is off.
///
/// `folder` is `/mnt` in the guest, the only place of it that is left when it is off.
///
/// # Errors
/// When the machine cannot be started, does not end in time, or its command does not succeed.
pub(super) fn boot(
    image: &Image,
    folder: &Path,
    command: &[String],
    limit: Duration,
) -> Result<()> {
    let mut arguments = command.join("\0").into_bytes();
    arguments.push(0);
    fs::write(folder.join("command"), arguments)?;
    let sockets = folder.with_file_name("sockets");
    fs::create_dir_all(&sockets)?;
    let root_socket = sockets.join("root");
    let out_socket = sockets.join("out");
    let _root = share(Path::new("/"), &root_socket, "always")?;
    let _out = share(folder, &out_socket, "auto")?;
    let mut machine = Helper(
        qemu(image, &root_socket, &out_socket)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start qemu-system-x86_64")?,
    );
    let deadline = Instant::now() + limit;
    while machine.0.try_wait()?.is_none() {
        if Instant::now() > deadline {
            bail!("the machine did not end within {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    }
    let code = fs::read_to_string(folder.join("code"))
        .context("the guest did not come to the end of its script; its console is above")?;
    if code.trim() != "0" {
        bail!(
            "the command in the guest failed (exit code {})",
            code.trim()
        );
    }
    Ok(())
}

/// Shares a folder with the guest through a socket.
fn share(folder: &Path, socket: &PathBuf, cache: &str) -> Result<Helper> {
    if socket.exists() {
        fs::remove_file(socket)?;
    }
    let log = fs::File::create(socket.with_extension("log"))?;
    let child = Command::new("/usr/lib/qemu/virtiofsd")
        .arg(format!("--socket-path={}", socket.display()))
        .args(["-o", &format!("source={}", folder.display())])
        .args(["-o", &format!("cache={cache}"), "-o", "sandbox=chroot"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start virtiofsd")?;
    let helper = Helper(child);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !socket.exists() {
        if Instant::now() > deadline {
            bail!(
                "virtiofsd does not listen; see {}",
                socket.with_extension("log").display()
            );
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(helper)
}

fn qemu(image: &Image, root: &Path, out: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"])
        .args(["-m", &MEMORY.to_string()])
        // The shared folders need memory that another process can map.
        .args([
            "-object",
            &format!("memory-backend-memfd,id=memory,size={MEMORY}M,share=on"),
        ])
        .args(["-numa", "node,memdev=memory"]);
    for (tag, socket) in [("root", root), ("out", out)] {
        command
            .args([
                "-chardev",
                &format!("socket,id={tag},path={}", socket.display()),
            ])
            .args([
                "-device",
                &format!("vhost-user-fs-pci,chardev={tag},tag={tag}"),
            ]);
    }
    command
        .arg("-kernel")
        .arg(&image.kernel)
        .arg("-initrd")
        .arg(&image.initramfs)
        .args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off"])
        // The console is this process's output; the firmware's screen is nobody's.
        .args(["-display", "none", "-serial", "stdio", "-monitor", "none"])
        .args(["-nic", "none", "-no-reboot"]);
    command
}
