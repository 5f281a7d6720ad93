//! No image of this process's memory on disk: it holds tokens, keys and what was typed.

/// Has the system write none, as far as it can be told so: this process is then also closed to debuggers of the same user.
/// Where that fails the program runs all the same.
pub(crate) fn forbid() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::DumpableBehavior;

        // A limit of size would not do: a core that is piped to a collector is not bound by it.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
    }
    #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
    {
        use rustix::process::Resource;
        use rustix::process::Rlimit;

        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        rustix::process::setrlimit(Resource::Core, none).ok();
    }
}
