//! One seed from its start to its end, with panics of the core taken for what they are: findings.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::options::Options;
use crate::queue::Time;
use crate::world::{Counts, World};

/// What became of one run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Which checker objects, and why.
    pub failed: Option<Finding>,
    /// Hash of all bytes that went in and came out.
    pub hash: u64,
    /// What changed, if it was asked for.
    pub trace: String,
    /// How much happened.
    pub counts: Counts,
    /// How long it took, in virtual nanoseconds.
    pub took: Time,
}

/// What was found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which checker says so; `Assertion` for a panic of the core.
    pub checker: String,
    /// What happened.
    pub what: String,
}

/// Plays one world to its end.
pub fn run(options: Options) -> Outcome {
    let mut world = None;
    let caught = catch(|| world.insert(World::new(options)).play());
    let mut outcome = world.as_mut().map(report).unwrap_or_default();
    if let Err(what) = caught {
        outcome.failed = Some(Finding { checker: "Assertion".into(), what });
    }
    outcome
}

/// What became of a world.
pub fn report(world: &mut World) -> Outcome {
    let failed = world
        .violation()
        .map(|found| Finding { checker: found.checker.to_string(), what: found.to_string() });
    Outcome {
        failed,
        hash: world.hash.value(),
        trace: world.trace.take(),
        counts: world.counts,
        took: world.now(),
    }
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static CATCHING: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs something; a panic becomes its message, with the place it came from, and is not printed.
pub fn catch<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CATCHING.with(|catching| *catching.borrow()) {
                return usual(info);
            }
            let payload = info.payload();
            let text = payload
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            let place =
                info.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
            let message = text + &place.unwrap_or_default();
            LAST_PANIC.with(|last| *last.borrow_mut() = Some(message));
        }));
    });
    CATCHING.with(|catching| *catching.borrow_mut() = true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    CATCHING.with(|catching| *catching.borrow_mut() = false);
    result.map_err(|_| LAST_PANIC.with(|last| last.borrow_mut().take()).unwrap_or_default())
}
