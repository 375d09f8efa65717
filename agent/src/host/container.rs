//! Which container a process runs in, from the names of its cgroups.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use compact_str::CompactString;

/// Folders below the mount point that are walked at most.
const DEPTH_LIMIT: usize = 16;
/// Cgroups that are remembered at most.
const CGROUPS_LIMIT: usize = 65_536;

/// The container of the process whose `/proc/PID/cgroup` this is: one line for each hierarchy,
/// `id:controllers:path` (cgroups(7)).
pub(super) fn container_of_process(cgroups: &[u8]) -> Option<CompactString> {
    cgroups
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.splitn(3, |byte| *byte == b':').nth(2))
        .find_map(container_of_path)
}

/// The container that a cgroup's path names: its last component that is one, because containers
/// may run in containers, and may have cgroups of their own below theirs.
fn container_of_path(path: &[u8]) -> Option<CompactString> {
    std::str::from_utf8(path)
        .ok()?
        .rsplit('/')
        .find_map(container_of_component)
        .map(Into::into)
}

/// Known forms, where ID is 64 hexadecimal digits:
/// `ID` (docker and containerd with the cgroupfs driver, runc's default),
/// `docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`, `libpod-ID.scope`, `libpod-ID`
/// (systemd driver), `PARENT.slice:cri-containerd:ID` (containerd asked for the systemd form
/// while it uses cgroupfs), `TASK-NUMBER` of 32 digits (Fargate).
/// A monitor (`crio-conmon-ID.scope`) runs outside of its container.
fn container_of_component(component: &str) -> Option<&str> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    let name = name.rsplit(':').next().unwrap_or(name);
    if let Some((task, number)) = name.split_once('-')
        && task.len() == 32
        && is_hexadecimal(task)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some(name);
    }
    let (runtime, id) = name.rsplit_once('-').unwrap_or(("", name));
    (id.len() == 64 && is_hexadecimal(id) && !runtime.ends_with("conmon")).then_some(id)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Containers by the id of their cgroup, for processes that are gone before their `/proc` entry
/// can be read. The id is the inode number of the cgroup's folder in the version 2 hierarchy
/// (since Linux 5.5 all 64 bits of it, never reused).
#[derive(Debug)]
pub struct CgroupTree {
    mount: Option<PathBuf>,
    containers: HashMap<u64, Option<CompactString>>,
}

impl CgroupTree {
    /// The version 2 hierarchy of this host: alone at `/sys/fs/cgroup`, or at its folder
    /// `unified` beside those of version 1. Where there is none, no container is found.
    #[must_use]
    pub fn of_host() -> Self {
        ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            .into_iter()
            .find(|mount| Path::new(mount).join("cgroup.controllers").exists())
            .map_or_else(Self::absent, Self::new)
    }

    /// The version 2 hierarchy that is mounted at `mount`; nothing is read before it is needed.
    #[must_use]
    pub fn new(mount: impl Into<PathBuf>) -> Self {
        Self {
            mount: Some(mount.into()),
            ..Self::absent()
        }
    }

    fn absent() -> Self {
        Self {
            mount: None,
            containers: HashMap::new(),
        }
    }

    /// The container of a cgroup, `None` when it belongs to none or is gone. An id that was not
    /// met before costs one walk over the hierarchy.
    pub(super) fn container(&mut self, cgroup: u64) -> Option<CompactString> {
        if let Some(container) = self.containers.get(&cgroup) {
            return container.clone();
        }
        let mount = self.mount.clone()?;
        if self.containers.len() >= CGROUPS_LIMIT {
            self.containers.clear();
        }
        self.walk(mount);
        self.containers.entry(cgroup).or_default().clone()
    }

    fn walk(&mut self, mount: PathBuf) {
        let mut folders = vec![(mount, None, 0)];
        while let Some((folder, container, depth)) = folders.pop() {
            if self.containers.len() >= CGROUPS_LIMIT {
                return;
            }
            let Ok(metadata) = std::fs::symlink_metadata(&folder) else {
                continue;
            };
            self.containers.insert(metadata.ino(), container.clone());
            if depth == DEPTH_LIMIT {
                continue;
            }
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let own = entry
                    .file_name()
                    .to_str()
                    .and_then(container_of_component)
                    .map(CompactString::from);
                folders.push((entry.path(), own.or_else(|| container.clone()), depth + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "3f4e5d6c7b8a99887766554433221100ffeeddccbbaa99887766554433221100";
    const OUTER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn found(line: &str) -> Option<String> {
        container_of_process(line.as_bytes()).map(Into::into)
    }

    #[test]
    fn reads_the_forms_of_all_runtimes() {
        let pod = "pod12345678-1234-1234-1234-123456789012";
        for path in [
            format!("0::/docker/{ID}"),
            format!("0::/system.slice/docker-{ID}.scope"),
            format!(
                "12:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/system.slice/containerd.service"
            ),
            format!("11:memory:/kubepods/besteffort/{pod}/{ID}"),
            format!(
                "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-{ID}.scope"
            ),
            format!("0::/kubepods.slice/kubepods-pod1_2.slice/crio-{ID}.scope"),
            format!("0::/kubepods.slice/kubepods-pod1_2.slice/crio-{ID}.scope/container"),
            format!("0::/machine.slice/libpod-{ID}.scope/container"),
            format!(
                "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"
            ),
            format!("0::/libpod_parent/libpod-{ID}"),
            format!("0::/../cri-containerd-{ID}.scope"),
            format!(
                "0::/system.slice/containerd.service/kubepods-burstable-pod1_2.slice:cri-containerd:{ID}"
            ),
            format!("0::/docker/{ID}/init.scope"),
            format!("0::/docker/{OUTER}/docker/{ID}"),
        ] {
            assert_eq!(found(&path).as_deref(), Some(ID), "{path}");
        }
    }

    #[test]
    fn reads_fargate_tasks() {
        let task = "0123456789abcdef0123456789abcdef";
        assert_eq!(
            found(&format!("1:name=systemd:/ecs/{task}/{task}-2418382410")),
            Some(format!("{task}-2418382410"))
        );
    }

    #[test]
    fn other_cgroups_are_no_containers() {
        for path in [
            "0::/".to_owned(),
            String::new(),
            "0::/user.slice/user-1000.slice/session-3.scope".to_owned(),
            "0::/system.slice/nginx.service".to_owned(),
            format!("0::/kubepods.slice/crio-conmon-{ID}.scope"),
            format!("0::/machine.slice/libpod-conmon-{ID}.scope"),
            format!("0::/docker/{ID}0"),
            format!("0::/docker/{}", ID.to_uppercase()),
            format!("0:/docker/{ID}"),
        ] {
            assert_eq!(found(&path), None, "{path}");
        }
    }

    #[test]
    fn finds_the_container_of_a_cgroup_id() {
        let mount = tempfile::tempdir().unwrap();
        let scope = mount.path().join(format!("system.slice/docker-{ID}.scope"));
        std::fs::create_dir_all(scope.join("inner")).unwrap();
        let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
        let mut tree = CgroupTree::new(mount.path());
        assert_eq!(tree.container(inode(&scope)).as_deref(), Some(ID));
        assert_eq!(
            tree.container(inode(&scope.join("inner"))).as_deref(),
            Some(ID)
        );
        assert_eq!(tree.container(inode(mount.path())), None);
    }

    #[test]
    fn a_cgroup_that_is_made_later_is_found() {
        let mount = tempfile::tempdir().unwrap();
        let mut tree = CgroupTree::new(mount.path());
        assert_eq!(tree.container(u64::MAX), None);
        let late = mount.path().join(ID);
        std::fs::create_dir(&late).unwrap();
        let inode = std::fs::metadata(&late).unwrap().ino();
        assert_eq!(tree.container(inode).as_deref(), Some(ID));
        std::fs::remove_dir(&late).unwrap();
        assert_eq!(tree.container(inode).as_deref(), Some(ID), "remembered");
    }

    proptest! {
        #[test]
        fn any_content_is_read(content: Vec<u8>) {
            let _ = container_of_process(&content);
        }
    }
}
