//! Python as a child that does not outlive us.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};
use rustix::process::{Pid, Signal, kill_process_group};

use super::{Failure, Subject};

/// How often a child is looked after.
const EVERY: Duration = Duration::from_millis(50);

/// Lines of a failed child's output that are shown.
const SHOWN: usize = 20;

/// Ctrl-C ends the child, not us before it.
pub fn catch_interrupts() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    let interrupted = Arc::clone(&flag);
    ctrlc::set_handler(move || interrupted.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::input(format!("cannot catch Ctrl-C: {error}")))?;
    Ok(flag)
}

/// An interpreter in the folder of a kit.
pub struct Python<'a> {
    pub program: &'a Path,
    pub kit: &'a Path,
    pub interrupts: Arc<AtomicBool>,
}

impl Python<'_> {
    /// Runs `what` to its end.
    pub fn run<S: AsRef<str>>(
        &self,
        arguments: &[S],
        what: &str,
        subject: &Subject,
    ) -> Result<(), Failure> {
        let log = self.kit.join("dry-run-output.txt");
        let mut child = Guarded(self.start(arguments, &log)?);
        let spinner = spinner(what);
        let status = self.wait(&mut child.0);
        spinner.finish_and_clear();
        match status.map_err(|error| Failure::input(format!("cannot wait for Python: {error}")))? {
            None => Err(Failure::stopped("the dry run was interrupted").remedy(format!(
                "{} is whole; the same command runs the kit again",
                subject.folder.display()
            ))),
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(failed(what, status, &tail(&log))),
        }
    }

    fn start<S: AsRef<str>>(&self, arguments: &[S], log: &Path) -> Result<Child, Failure> {
        let unwritable =
            |error: io::Error| Failure::input(format!("cannot write {}: {error}", log.display()));
        let output = File::create(log).map_err(unwritable)?;
        let errors = output.try_clone().map_err(unwritable)?;
        let mut command = Command::new(self.program);
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .current_dir(self.kit)
            .env("PYTHONPATH", self.python_path())
            // The kit asks for it, and ends without it.
            .env("HF_AUTH_TOKEN", std::env::var_os("HF_AUTH_TOKEN").unwrap_or_default())
            // It ends when we do, however that comes about: the driver waits for that.
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        command.spawn().map_err(|error| {
            Failure::input(format!("cannot start {}: {error}", self.program.display()))
                .remedy("name a Python that has what the kit needs with --python")
        })
    }

    fn python_path(&self) -> OsString {
        let mut path = self.kit.as_os_str().to_owned();
        if let Some(more) = std::env::var_os("PYTHONPATH").filter(|more| !more.is_empty()) {
            path.push(":");
            path.push(more);
        }
        path
    }

    /// `None`: interrupted.
    fn wait(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if self.interrupts.load(Ordering::Relaxed) {
                return Ok(None);
            }
            std::thread::sleep(EVERY);
        }
    }
}

/// Ended with all that it started, however we leave.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // It may have ended in this moment: then there is nothing to end.
            let _ended = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            drop(self.0.wait());
        }
    }
}

fn spinner(what: &str) -> ProgressBar {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let spinner = ProgressBar::with_draw_target(None, target);
    spinner.set_message(format!("{what} is running"));
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}

fn failed(what: &str, status: ExitStatus, tail: &str) -> Failure {
    let ended = status.code().map_or_else(
        || format!("was ended ({status})"),
        |code| format!("ended with exit code {code}"),
    );
    let message = format!("{what} {ended}; the last lines of its output:\n{tail}");
    Failure::input(message).remedy(remedy(status, tail))
}

/// What such an end usually comes from.
fn remedy(status: ExitStatus, tail: &str) -> String {
    let module = tail.split("No module named '").nth(1).and_then(|rest| rest.split('\'').next());
    let no_memory = tail.contains("out of memory") || tail.contains("MemoryError");
    match module {
        Some(module) => {
            format!("install `{module}` for that Python, or name another Python with --python")
        }
        None if no_memory || status.code().is_none() => {
            "the machine has too little memory for this class: try --dtype bfloat16, or a larger machine".to_owned()
        }
        None if tail.contains("GatedRepoError") || tail.contains("401 Client Error") => {
            "a model is gated: accept its licence on the hub and set HF_AUTH_TOKEN".to_owned()
        }
        None if tail.contains("LocalEntryNotFoundError") || tail.contains("OfflineMode") => {
            "a model is not in the cache of the hub: fetch it, or run with a connection".to_owned()
        }
        None => "the kit's own baselines tell whether that Python has what the kit needs: -m tiny_llama_avg".to_owned(),
    }
}

/// Progress bars overwrite their line: what is left of it counts.
fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let shown = |line: &str| line.trim_end().rsplit('\r').next().unwrap_or_default().to_owned();
    let mut last = VecDeque::new();
    for line in text.lines().map(shown).filter(|line| !line.trim().is_empty()) {
        last.push_back(format!("  {line}"));
        if last.len() > SHOWN {
            last.pop_front();
        }
    }
    Vec::from(last).join("\n")
}
