//! Children with a time limit.

use std::{
    io,
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// Waits for a child, and kills it when it takes longer than `limit`: `None`.
/// Only this child is killed, by its own handle.
pub(crate) fn wait_at_most(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?; // or it stays a zombie
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// How a child ended, in a reader's words: `None` when it went well.
pub(crate) fn failure(ended: Option<ExitStatus>, limit: Duration) -> Option<String> {
    let Some(status) = ended else {
        return Some(format!("stopped: not finished after {} s", limit.as_secs()));
    };
    #[cfg(unix)]
    if std::os::unix::process::ExitStatusExt::signal(&status) == Some(6) {
        return Some("aborted (SIGABRT): a deadlock, or a panic while unwinding".to_owned());
    }
    (!status.success()).then(|| status.to_string())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::Command;

    fn sh(script: &str, limit: Duration) -> Option<String> {
        let mut child = Command::new("sh").args(["-c", script]).spawn().expect("sh starts");
        failure(wait_at_most(&mut child, limit).expect("sh can be waited for"), limit)
    }

    #[test]
    fn a_child_past_its_limit_is_a_failure() {
        let why = sh("exec sleep 60", Duration::ZERO).unwrap();
        assert!(why.contains("not finished"), "{why}");
    }

    #[test]
    fn an_abort_and_a_bad_status_are_failures_and_success_is_none() {
        let limit = Duration::from_secs(60);
        assert!(sh("kill -ABRT $$", limit).unwrap().contains("SIGABRT"));
        assert!(sh("exit 3", limit).unwrap().contains('3'));
        assert_eq!(sh("exit 0", limit), None);
    }
}
