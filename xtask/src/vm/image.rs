//! A kernel and an initramfs for it. Kernel packages are unpacked, never installed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Kernel, cache};
use crate::shell;

/// What a machine is started with.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) kernel: PathBuf,
    pub(super) initramfs: PathBuf,
}

/// Downloads and unpacks the newest kernel of a series, unless it is there already.
pub(super) fn fetch(kernel: &Kernel) -> Result<Image> {
    let folder = cache().join(kernel.series);
    fs::create_dir_all(&folder)?;
    let package = newest(kernel)?;
    let version = package
        .strip_prefix("linux-image-")
        .with_context(|| format!("{package} is no kernel"))?;
    let root = folder.join(version);
    let image = Image {
        kernel: root.join(format!("boot/vmlinuz-{version}")),
        initramfs: folder.join(format!("{version}.initramfs")),
    };
    if !image.kernel.exists() {
        unpack(&package, &folder, &root)?;
    }
    if !image.initramfs.exists() {
        shell::step(format!("packing an initramfs for {version}"));
        pack_initramfs(&root, version, &image.initramfs)?;
    }
    Ok(image)
}

/// The package that the meta package depends on.
fn newest(kernel: &Kernel) -> Result<String> {
    let find = || -> Option<String> {
        let printed =
            shell::output(Command::new("apt-cache").args(["depends", kernel.meta_package])).ok()?;
        printed.lines().find_map(|line| {
            let package = line.trim().strip_prefix("Depends: ")?;
            let wanted = format!("linux-image-{}.", kernel.series);
            package.starts_with(&wanted).then(|| package.to_owned())
        })
    };
    if let Some(package) = find() {
        return Ok(package);
    }
    shell::run(shell::as_root("apt-get")?.args(["update", "-qq"]))?;
    find().with_context(|| {
        format!(
            "the package lists have no Linux {} ({}): use Debian 12, which has it",
            kernel.series, kernel.meta_package
        )
    })
}

fn unpack(package: &str, folder: &Path, root: &Path) -> Result<()> {
    shell::step(format!("downloading {package}"));
    let download = || {
        let mut command = Command::new("apt-get");
        // Root may download into a folder that apt's own user cannot write to.
        command.args(["-o", "APT::Sandbox::User=root", "-qq", "download", package]);
        shell::run(command.current_dir(folder))
    };
    if download().is_err() {
        // The lists may name a package that has been replaced since.
        shell::run(shell::as_root("apt-get")?.args(["update", "-qq"]))?;
        download()?;
    }
    let prefix = format!("{package}_");
    let archive = fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&prefix) && name.ends_with(".deb")
        })
        .with_context(|| format!("apt-get download left no {package}"))?;
    let unfinished = root.with_extension("unfinished");
    shell::run(
        Command::new("dpkg")
            .arg("-x")
            .arg(&archive)
            .arg(&unfinished),
    )?;
    fs::rename(&unfinished, root)?;
    fs::remove_file(archive)?;
    Ok(())
}

/// Packs busybox, the modules that the shared folders need where they are not built in, and a
/// script that mounts them and starts the guest's script.
fn pack_initramfs(root: &Path, version: &str, to: &Path) -> Result<()> {
    shell::run(Command::new("depmod").arg("-b").arg(root).arg(version))?;
    let staged = to.with_extension("staged");
    if staged.exists() {
        fs::remove_dir_all(&staged)?;
    }
    for folder in ["bin", "proc", "sys", "dev", "new", "modules"] {
        fs::create_dir_all(staged.join(folder))?;
    }
    let busybox = shell::which("busybox").context("no busybox")?;
    fs::copy(busybox, staged.join("bin/busybox"))?;
    let mut order: Vec<String> = Vec::new();
    for module in ["virtio_pci", "virtiofs"] {
        let mut command = Command::new(shell::which("modprobe").context("no modprobe")?);
        command
            .arg("-d")
            .arg(root)
            .args(["-S", version, "--show-depends", module]);
        let printed = shell::output(&mut command)?;
        // `insmod PATH`, dependencies first, or `builtin NAME`.
        for path in printed
            .lines()
            .filter_map(|line| line.strip_prefix("insmod "))
        {
            let path = Path::new(path.trim());
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !order.contains(&name) {
                fs::copy(path, staged.join("modules").join(&name))?;
                order.push(name);
            }
        }
    }
    fs::write(staged.join("modules/order"), order.join("\n") + "\n")?;
    let init = staged.join("init");
    fs::write(&init, include_str!("init.sh"))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    archive(&staged, to)?;
    fs::remove_dir_all(staged)?;
    Ok(())
}

/// Writes a folder as the cpio archive that the kernel unpacks.
fn archive(folder: &Path, to: &Path) -> Result<()> {
    let names = shell::output(Command::new("find").arg(".").current_dir(folder))?;
    let unfinished = to.with_extension("unfinished");
    let mut child = Command::new("cpio")
        .args(["-o", "-H", "newc", "--quiet"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(fs::File::create(&unfinished)?)
        .spawn()
        .context("cannot start cpio")?;
    child
        .stdin
        .take()
        .context("no pipe")?
        .write_all(names.as_bytes())?;
    let status = child.wait()?;
    if !status.success() {
        bail!("cpio failed ({status})");
    }
    fs::rename(unfinished, to)?;
    Ok(())
}
