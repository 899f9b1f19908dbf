//! Silences: operators add and end them from terminals and the command line.

use sysmon_alerts::silence::{
    NewSilence, PatternError, ScopeNames, Silence, SilenceError, UnknownName,
};
use sysmon_client::hub_figures::host_name;
use sysmon_config::time::format_span;
use sysmon_wire::alerts::{Alerts, SilenceState};
use sysmon_wire::timeline::EventKind;
use sysmon_wire::{Label, UnixMs};
use thiserror::Error;

use super::Hub;

/// Why a silence was neither added nor ended for a terminal.
#[derive(Debug, Error)]
pub(super) enum SilenceRefusal {
    #[error(transparent)]
    Scope(#[from] PatternError),
    #[error("{0}; `sysmon-hub alerts silence --force` silences it anyway")]
    Name(#[from] UnknownName),
    #[error(transparent)]
    Silence(#[from] SilenceError),
}

impl Hub {
    /// Adds a silence, which takes effect at once.
    ///
    /// # Errors
    /// There are too many, its end or reason is out of range, or its file cannot be written.
    pub fn silence(&self, new: NewSilence) -> Result<Silence, SilenceError> {
        let silence = self.notifier.silence(new)?;
        // Two hours are two hours, however long the request was under way.
        let lasts = format_span(UnixMs(silence.until - silence.from + 500).floor(1_000).0);
        let what = match silence.reason.as_str() {
            "" => format!("for {lasts}"),
            reason => format!("for {lasts}: {reason}"),
        };
        let by = silence.by.clone();
        self.note_silence(EventKind::Silenced, &silence, &by, &what);
        Ok(silence)
    }

    /// Ends a silence before its time.
    ///
    /// # Errors
    /// There is none of this number, or its file cannot be written.
    pub fn end_silence(&self, id: &str, by: &str) -> Result<Silence, SilenceError> {
        let silence = self.notifier.end_silence(id)?;
        self.note_silence(EventKind::Unsilenced, &silence, by, "");
        Ok(silence)
    }

    fn note_silence(&self, kind: EventKind, silence: &Silence, by: &str, what: &str) {
        let scope = silence.scope.to_string();
        let event = match kind {
            EventKind::Silenced => "silenced",
            _ => "unsilenced",
        };
        tracing::info!(by, %scope, id = %silence.id, until_ms = silence.until.0, "{event}");
        self.audit(event, by, format!("{scope} {what}").trim_end());
        let text = format!("{scope} by {by} {what}");
        let host = silence.scope.hosts().to_string();
        self.note_operation(&host, kind, text.trim_end());
    }

    /// Records an event of a host, or of the hub itself where no host is called so; screens follow the marks of alerts.
    pub(super) fn note_operation(&self, host: &str, kind: EventKind, text: &str) {
        let (time, own) = (self.now(), host_name(&self.name));
        self.update(|core| core.add_operation(host, own, time, kind, text));
        self.review_marks();
    }

    /// Passes on who acknowledged which alert, and which are silenced.
    pub(super) fn review_marks(&self) {
        let marks = self.notifier.marks(self.now());
        self.update(|core| core.set_marks(marks));
    }

    /// Adds a silence for a terminal.
    pub(super) fn silence_for(
        &self,
        by: &str,
        scope: &Label,
        until: UnixMs,
        reason: &Label,
    ) -> Result<Alerts, SilenceRefusal> {
        let new = NewSilence {
            scope: scope.as_str().parse()?,
            until,
            by: by.to_owned(),
            reason: reason.as_str().trim().to_owned(),
        };
        self.scope_names().check(&new.scope)?;
        self.silence(new)?;
        Ok(Alerts {
            changed: 1,
            ..self.alerts()
        })
    }

    /// Ends a silence for a terminal.
    pub(super) fn end_silence_for(&self, by: &str, id: &Label) -> Result<Alerts, SilenceRefusal> {
        self.end_silence(id.as_str(), by)?;
        Ok(Alerts {
            changed: 1,
            ..self.alerts()
        })
    }

    /// The names that a scope can have now.
    pub fn scope_names(&self) -> ScopeNames {
        let mut names = ScopeNames::default();
        if let Some(agents) = self
            .access
            .as_ref()
            .and_then(|a| a.registered_agents().ok())
        {
            names.hosts.extend(agents.into_keys());
        }
        let core = self.core();
        names.rules = core.engine.rule_names().map(str::to_owned).collect();
        for (_, host) in core.fleet.hosts() {
            names.hosts.push(host.name.to_string());
            let tags = host.facts.tags.iter().map(Label::to_string);
            names.tags.extend(tags);
        }
        names
    }

    /// The silences that have not ended, the next to end first.
    pub(super) fn silences(&self) -> Vec<SilenceState> {
        let mut silences = self.notifier.silences(self.now());
        silences.sort_by_key(|silence| silence.until);
        silences.iter().map(state).collect()
    }
}

fn state(silence: &Silence) -> SilenceState {
    SilenceState {
        id: Label::new(&silence.id),
        scope: Label::new(&silence.scope.to_string()),
        from: silence.from,
        until: silence.until,
        by: Label::new(&silence.by),
        reason: Label::new(&silence.reason),
    }
}
