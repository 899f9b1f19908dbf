//! Changes of a host's rules and name, and what is firing on it.

use super::Host;
use crate::Alert;
use crate::rule::Rule;

impl Host {
    /// Replaces the rules; `place` maps the index of an old rule to its new one.
    pub(in crate::engine) fn replace(&mut self, place: impl Fn(usize) -> Option<usize>) {
        let mut left = Vec::new();
        for mut watch in std::mem::take(&mut self.watches) {
            match place(watch.rule) {
                Some(at) => {
                    watch.rule = at;
                    self.watches.push(watch);
                }
                None => left.push(watch.state),
            }
        }
        for (rule, state) in std::mem::take(&mut self.whole) {
            match place(rule) {
                Some(at) => self.whole.push((at, state)),
                None => left.push(state),
            }
        }
        self.matched = None;
        self.restored
            .extend(left.into_iter().filter_map(|state| state.firing));
    }

    /// Removes the restored alerts of rules that no longer exist.
    pub(in crate::engine) fn remove_without_rule(&mut self, rules: &[Rule]) -> Vec<Alert> {
        let is_gone = |alert: &mut Alert| rules.iter().all(|rule| rule.name != alert.rule);
        self.restored.extract_if(.., is_gone).collect()
    }

    /// The host is called otherwise from now on.
    pub(in crate::engine) fn rename(&mut self, from: &str, to: &str) {
        let watched = self.watches.iter_mut().map(|watch| &mut watch.state);
        let states = watched.chain(self.whole.iter_mut().map(|(_, state)| state));
        let firing = states.filter_map(|state| state.firing.as_mut());
        for alert in firing.chain(&mut self.restored) {
            alert.rename_host(from, to);
        }
    }

    pub(in crate::engine) fn firing(&self) -> impl Iterator<Item = &Alert> {
        let watched = self.watches.iter().map(|watch| &watch.state);
        let states = watched.chain(self.whole.iter().map(|(_, state)| state));
        states
            .filter_map(|state| state.firing.as_ref())
            .chain(&self.restored)
    }
}
