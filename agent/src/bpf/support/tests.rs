//! Which hooks follow from which host, and the one sentence where none do.

use super::*;

/// A host on which both sets work.
pub(crate) fn capable() -> Support {
    Support {
        kernel: Kernel {
            release: "6.12.9-amd64".to_owned(),
            machine: "x86_64".to_owned(),
            version: Some((6, 12)),
        },
        capabilities: Capabilities::of_mask(u64::MAX),
        lockdown: Lockdown::None,
        types: Ok(Types {
            offsets: Ok(KernelOffsets::default()),
            missing_lifecycle: Vec::new(),
        }),
        tracepoint: HookState::Works,
        trampoline: HookState::Works,
    }
}

pub(crate) fn refused() -> HookState {
    HookState::Refused(Arc::new(io::Error::from_raw_os_error(libc::EPERM)))
}

fn sentence(wanted: HooksChoice, support: &Support) -> String {
    let text = choose(wanted, support).unwrap_err().to_string();
    assert!(!text.contains('\n'), "one sentence: {text}");
    text
}

#[test]
fn tracepoints_are_preferred() {
    let mut host = capable();
    let auto = |host: &Support| choose(HooksChoice::Auto, host).unwrap().hooks;
    assert_eq!(auto(&host), HookSet::Tracepoint);
    host.tracepoint = HookState::Absent {
        targets: DATA_TRACEPOINTS.to_vec(),
    };
    assert_eq!(auto(&host), HookSet::Trampoline);
    host = capable();
    host.trampoline = refused();
    assert_eq!(auto(&host), HookSet::Tracepoint);
}

#[test]
fn a_forced_set_is_taken_or_refused() {
    let mut host = capable();
    let only = |hooks| HooksChoice::Only(hooks);
    for hooks in [HookSet::Tracepoint, HookSet::Trampoline] {
        assert_eq!(choose(only(hooks), &host).unwrap().hooks, hooks);
    }
    host.trampoline = refused();
    let text = sentence(only(HookSet::Trampoline), &host);
    assert!(
        text.starts_with("--hooks trampoline does not work here"),
        "{text}"
    );
    assert!(text.ends_with("(--hooks tracepoint would work)"), "{text}");
}

#[test]
fn each_obstacle_has_its_sentence() {
    let mut host = capable();
    host.kernel.version = Some((5, 10));
    assert!(sentence(HooksChoice::Auto, &host).contains("too old"));

    let mut host = capable();
    host.capabilities = Capabilities::of_mask(1 << 39);
    let text = sentence(HooksChoice::Auto, &host);
    assert!(text.contains("CAP_PERFMON missing"), "{text}");
    assert!(text.ends_with("as root"), "{text}");
    let error = SupportError::Privilege {
        missing: vec![Capability::Bpf],
        confined: true,
    };
    assert!(error.to_string().contains("outside of the user namespace"));

    let mut host = capable();
    host.lockdown = Lockdown::Confidentiality;
    assert!(sentence(HooksChoice::Auto, &host).contains("locked down"));

    let mut host = capable();
    host.types = Err(BtfError::NoSuchType {
        name: "sock".to_owned(),
    });
    assert!(sentence(HooksChoice::Auto, &host).contains("CONFIG_DEBUG_INFO_BTF"));

    let mut host = capable();
    host.tracepoint = HookState::Absent {
        targets: vec!["sock_send_length"],
    };
    host.trampoline = refused();
    let text = sentence(HooksChoice::Auto, &host);
    assert!(text.contains("does not have sock_send_length"), "{text}");
    assert!(text.contains("refuses the attachment"), "{text}");

    let mut host = capable();
    host.types.as_mut().unwrap().missing_lifecycle = vec!["sched_process_exec"];
    assert!(sentence(HooksChoice::Auto, &host).contains("sched_process_exec"));

    let mut host = capable();
    host.types.as_mut().unwrap().offsets = Err(OffsetsError::Unfit {
        problems: vec![
            BtfError::NoSuchType {
                name: "tcp_sock".to_owned(),
            }
            .into(),
        ],
    });
    assert!(sentence(HooksChoice::Auto, &host).contains("tcp_sock"));
}

#[test]
fn releases_begin_with_a_version() {
    assert_eq!(parse_version("6.18.44-fc"), Some((6, 18)));
    assert_eq!(parse_version("5.15"), Some((5, 15)));
    assert_eq!(parse_version("6.1-rc3"), Some((6, 1)));
    for odd in ["", "linux", "6", "6.", "99999999999.1"] {
        assert_eq!(parse_version(odd), None, "{odd:?}");
    }
}

/// Holds with and without privilege: what the kernel lacks is never said to work.
#[test]
fn this_host_is_probed() {
    let support = Support::probe();
    let types = support.types.as_ref().unwrap();
    types.offsets.as_ref().unwrap();
    assert!(types.missing_lifecycle.is_empty());
    let privileged = support
        .capabilities
        .missing(&Capability::REQUIRED)
        .is_empty();
    let has_tracepoints = support.kernel.version.unwrap() >= (6, 3);
    match &support.tracepoint {
        HookState::Works | HookState::Refused(_) => assert!(privileged && has_tracepoints),
        HookState::Untried => assert!(!privileged && has_tracepoints),
        HookState::Absent { .. } => assert!(!has_tracepoints),
        HookState::Unknown => panic!("the kernel's types were read"),
    }
    assert!(!matches!(support.trampoline, HookState::Absent { .. }));
}
