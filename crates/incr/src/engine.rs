//! The steps in order, and settling.

use crate::reads::MAX_STEPS;
use crate::rule::{AnyRule, Ctx, Rule, Shared, claim};
use crate::{AnySource, Database, Parts, Source, Target, Visitor};

/// Bad input that a rule met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The rule's name.
    pub rule: &'static str,
    /// What is wrong and where: table, row, column, value.
    pub text: String,
}

/// How often a rule ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleStats {
    /// The rule's name.
    pub name: &'static str,
    /// Runs that exist now: keys of its source.
    pub live: usize,
    /// Runs since the start, or since [`Engine::clear_stats`].
    pub ran: u64,
    /// Settles in which at least one run ran.
    pub settles: u64,
    /// Those of [`RuleStats::settles`] that ran it for all keys: its first, and those after [`Engine::recompute`].
    pub full_settles: u64,
    /// Runs before the last [`Engine::clear_stats`].
    cleared: u64,
}

impl RuleStats {
    /// Runs since the start, whatever was cleared.
    pub fn ran_ever(&self) -> u64 {
        self.cleared + self.ran
    }
}

enum Step<D> {
    Rule(Box<dyn AnyRule<D>>),
    Allocator(Box<dyn FnMut(&mut D) + Send>),
}

/// A database and the steps that keep its derived tables true.
pub struct Engine<D> {
    /// The tables. Inputs may be written between settles.
    pub db: D,
    steps: Vec<(Step<D>, RuleStats)>,
    shared: Shared,
    /// Every run is to run at the next settle.
    recompute: bool,
    full_settles: u64,
}

impl<D: Database> Engine<D> {
    /// An engine without steps.
    pub fn new(db: D) -> Self {
        Engine { db, steps: Vec::new(), shared: Shared::default(), recompute: true, full_settles: 0 }
    }

    /// Lets rules with many dirty runs use all processors.
    pub fn set_parallel(&mut self, parallel: bool) {
        self.shared.parallel = parallel;
    }

    /// Adds a rule: `function` runs for every key of `source` and writes to `target`.
    ///
    /// # Panics
    /// If an equal or later step writes `source`.
    pub fn rule<S: Source + 'static, T: Target + 'static>(
        &mut self,
        name: &'static str,
        source: fn(&D) -> &S,
        target: fn(&mut D) -> &mut T,
        function: fn(&Ctx<'_, D>, &S::Key, &mut T::Written),
    ) where
        D: 'static,
    {
        let step = self.next_step(name);
        let writer = source(&self.db).changes().writer;
        assert!(writer < step, "`{name}` runs for the keys of a table that a later step writes");
        claim(target(&mut self.db), step);
        self.steps.last_mut().expect("just added").0 =
            Step::Rule(Box::new(Rule::new(name, step, source, target, function)));
    }

    /// Adds an allocator: `function` sees all requests and brings `grants` up to date. It runs at every settle and
    /// must keep what it granted for as long as it is asked for.
    pub fn allocator<T: AnySource>(
        &mut self,
        name: &'static str,
        grants: fn(&mut D) -> &mut T,
        function: impl FnMut(&mut D) + Send + 'static,
    ) {
        let step = self.next_step(name);
        grants(&mut self.db).set_writer(step);
        self.steps.last_mut().expect("just added").0 = Step::Allocator(Box::new(function));
    }

    /// Steps count from 1, so that inputs can be written by "step 0".
    fn next_step(&mut self, name: &'static str) -> u16 {
        let stats = RuleStats { name, live: 0, ran: 0, settles: 0, full_settles: 0, cleared: 0 };
        self.steps.push((Step::Allocator(Box::new(|_| {})), stats));
        let step = self.steps.len() as u16;
        assert!(step < MAX_STEPS);
        step
    }

    /// Runs what has to run until all derived tables follow from the inputs. Returns how many runs that took.
    pub fn settle(&mut self) -> u64 {
        let mut total = 0;
        self.db.visit(&mut TakeChanged(&mut self.shared.changed));
        mark(&mut self.steps, &mut self.shared);
        for at in 0..self.steps.len() {
            let (step, stats) = &mut self.steps[at];
            match step {
                Step::Rule(rule) => {
                    rule.follow_source(&mut self.shared, &mut self.db);
                    let ran = rule.run(&mut self.shared, &mut self.db);
                    let full = ran > 0 && (self.recompute || stats.ran_ever() == 0);
                    stats.ran += ran;
                    stats.settles += u64::from(ran > 0);
                    stats.full_settles += u64::from(full);
                    total += ran;
                }
                Step::Allocator(function) => {
                    function(&mut self.db);
                    self.db.visit(&mut TakeChanged(&mut self.shared.changed));
                }
            }
            mark(&mut self.steps, &mut self.shared);
        }
        self.db.visit(&mut ForgetKeys);
        self.shared.readers.shrink();
        if total > 0 {
            self.full_settles += u64::from(std::mem::take(&mut self.recompute));
        }
        total
    }

    /// Makes every rule run again for every key at the next settle: nothing should come of it but work.
    pub fn recompute(&mut self) {
        self.recompute = true;
        for (step, _) in &mut self.steps {
            if let Step::Rule(rule) = step {
                rule.mark_all();
            }
        }
    }

    /// Bad input that rules have met since the last call and had not reported before. What several runs say in the same
    /// words is said once.
    pub fn take_reports(&mut self) -> Vec<Report> {
        let mut reports = std::mem::take(&mut self.shared.reports);
        let mut said = kiln_types::HashSet::default();
        reports.retain(|report| said.insert(report.text.clone()));
        reports
    }

    /// Starts or stops recording which runs ran.
    pub fn trace(&mut self, on: bool) {
        self.shared.trace = on.then(Vec::new);
    }

    /// The runs since the last call, as rule name and key, in the order of steps.
    pub fn take_trace(&mut self) -> Vec<String> {
        self.shared.trace.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How often each step ran, in order.
    pub fn stats(&self) -> Vec<RuleStats> {
        let live = |step: &Step<D>| if let Step::Rule(rule) = step { rule.runs() } else { 0 };
        self.steps.iter().map(|(step, stats)| RuleStats { live: live(step), ..*stats }).collect()
    }

    /// Starts the counts of [`Engine::stats`] again.
    pub fn clear_stats(&mut self) {
        for (_, stats) in &mut self.steps {
            stats.cleared += stats.ran;
            (stats.ran, stats.settles, stats.full_settles) = (0, 0, 0);
        }
    }

    /// Settles that ran everything, since the start: the first that had anything to run, and those after
    /// [`Engine::recompute`].
    pub fn full_settles(&self) -> u64 {
        self.full_settles
    }

    /// How many different cells runs have read.
    pub fn cells(&self) -> usize {
        self.shared.readers.len()
    }
}

/// Marks the runs that read what has changed.
fn mark<D>(steps: &mut [(Step<D>, RuleStats)], shared: &mut Shared) {
    let mut changed = std::mem::take(&mut shared.changed);
    for parts in changed.drain(..) {
        shared.readers.of(parts, |run| {
            if let Step::Rule(rule) = &mut steps[usize::from(run.step()) - 1].0 {
                rule.mark(run.slot());
            }
        });
    }
    if changed.capacity() <= 4096 {
        shared.changed = changed;
    }
}

struct TakeChanged<'a>(&'a mut Vec<Parts>);

impl Visitor for TakeChanged<'_> {
    fn table(&mut self, table: &mut dyn AnySource) {
        table.take_changed(self.0);
    }
}

struct ForgetKeys;

impl Visitor for ForgetKeys {
    fn table(&mut self, table: &mut dyn AnySource) {
        table.forget_keys();
    }
}
