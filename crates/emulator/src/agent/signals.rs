//! Signals as a command on a node finds them.

use tokio::process::Command;

/// What a shell without job control, `nohup` and the AWS CLI have their children ignore, and their children's children:
/// whoever starts the emulator in the background would make emulated shells deaf to Ctrl-C.
const INHERITED: [libc::c_int; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP];

/// Has the command start with signals that do what they do by default.
#[expect(
    unsafe_code,
    reason = "the standard library has no safe way to set a child's signals"
)]
pub(super) fn start_with_defaults(command: &mut Command) {
    let reset = || {
        for signal in INHERITED {
            // SAFETY: `signal` is async-signal-safe, and the default action needs no handler.
            if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec `reset` calls nothing but `signal`, and allocates nothing.
    unsafe { command.pre_exec(reset) };
}

#[cfg(test)]
#[expect(unsafe_code, reason = "a child that ignores a signal has to be made")]
mod tests {
    use super::*;

    /// What a shell says that sends itself SIGINT, having been started to ignore it.
    async fn interrupted(prepare: impl FnOnce(&mut Command)) -> Vec<u8> {
        let mut command = Command::new("sh");
        command.args(["-c", "kill -INT $$; echo deaf"]);
        let ignore = || {
            // SAFETY: as above.
            unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
            Ok(())
        };
        // SAFETY: as above.
        unsafe { command.pre_exec(ignore) };
        prepare(&mut command);
        command.output().await.unwrap().stdout
    }

    #[tokio::test]
    async fn an_ignored_signal_is_not_inherited() {
        assert_eq!(interrupted(|_| {}).await, b"deaf\n");
        assert_eq!(interrupted(start_with_defaults).await, b"");
    }
}
