//! The keys as the configuration has them: `[tui] keys`, a list of texts such as `quit = x`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use sysmon_config::suggest;

use super::table::CONFIGURED;
use super::{Action, BINDINGS, Binding, Key, Mode};

/// Keys with a name in the configuration, where a comma and `=` are separators.
const NAMED: [(&str, KeyCode); 19] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("space", KeyCode::Char(' ')),
    ("comma", KeyCode::Char(',')),
    ("equals", KeyCode::Char('=')),
    ("backspace", KeyCode::Backspace),
    ("insert", KeyCode::Insert),
    ("delete", KeyCode::Delete),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
];

const WITH: [(&str, KeyModifiers); 4] = [
    ("ctrl-", KeyModifiers::CONTROL),
    ("^", KeyModifiers::CONTROL),
    ("shift-", KeyModifiers::SHIFT),
    ("alt-", KeyModifiers::ALT),
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    #[error("{0:?} is not of the form ACTION = KEYS; for example \"open = o, enter\"")]
    Malformed(String),
    #[error("unknown action {name:?}{near}")]
    UnknownAction { name: String, near: String },
    #[error("unknown key {name:?}{near}")]
    UnknownKey { name: String, near: String },
    #[error("{0} is listed twice")]
    Duplicate(&'static str),
    #[error("{key} is bound to both {one} and {two}")]
    Conflict {
        key: String,
        one: &'static str,
        two: &'static str,
    },
    #[error(
        "{key} is bound to {one}, which leaves {two} without a key; bind it too, for example \"{two} = ctrl-x\""
    )]
    Unbound {
        key: String,
        one: &'static str,
        two: &'static str,
    },
}

#[derive(Clone, Debug)]
pub struct Bound {
    pub binding: &'static Binding,
    pub keys: Vec<Key>,
}

#[derive(Clone, Debug)]
pub struct Keymap(Vec<Bound>);

impl Default for Keymap {
    fn default() -> Self {
        let bound = |binding: &'static Binding| Bound {
            binding,
            keys: binding.keys.to_vec(),
        };
        Self(BINDINGS.iter().map(bound).collect())
    }
}

impl Keymap {
    /// The keys of the table, with those of the actions in `texts` replaced: `open = o, enter`.
    ///
    /// # Errors
    /// A text is malformed, or leaves an action without a key.
    pub fn new(texts: &[String]) -> Result<Self, KeymapError> {
        let mut map = Self::default();
        let mut changed: Vec<Action> = Vec::new();
        for text in texts {
            let (action, keys) = read(text)?;
            if changed.contains(&action) {
                return Err(KeymapError::Duplicate(action.name()));
            }
            changed.push(action);
            for bound in map.0.iter_mut().filter(|bound| is_of(bound, action)) {
                bound.keys.clone_from(&keys);
            }
        }
        for action in &changed {
            map.reassign_keys(*action, &changed)?;
        }
        Ok(map)
    }

    /// Removes the keys of an action from all others in the same modes.
    fn reassign_keys(&mut self, action: Action, changed: &[Action]) -> Result<(), KeymapError> {
        let own: Vec<Bound> = self
            .0
            .iter()
            .filter(|b| is_of(b, action))
            .cloned()
            .collect();
        for bound in &own {
            for other in &mut self.0 {
                let is_shared = |mode: &Mode| {
                    bound.binding.modes.contains(mode) && other.binding.modes.contains(mode)
                };
                let name = other.binding.action;
                if name == action || !CONFIGURED.iter().any(is_shared) {
                    continue;
                }
                let Some(key) = other
                    .keys
                    .iter()
                    .find(|key| bound.keys.contains(key))
                    .copied()
                else {
                    continue;
                };
                let key = key.name(true);
                other.keys.retain(|key| !bound.keys.contains(key));
                if changed.contains(&name) {
                    let (one, two) = (action.name(), name.name());
                    return Err(KeymapError::Conflict { key, one, two });
                }
                if other.keys.is_empty() {
                    let (one, two) = (action.name(), name.name());
                    return Err(KeymapError::Unbound { key, one, two });
                }
            }
        }
        Ok(())
    }

    pub fn all(&self) -> impl Iterator<Item = &Bound> {
        self.0.iter()
    }

    pub fn of(&self, mode: Mode) -> impl Iterator<Item = &Bound> {
        self.all()
            .filter(move |bound| bound.binding.modes.contains(&mode))
    }

    pub fn key_of(&self, mode: Mode, action: Action, ascii: bool) -> Option<String> {
        let mut here = self.of(mode);
        let bound = here.find(|bound| bound.binding.action == action)?;
        bound.keys.first().map(|key| key.name(ascii))
    }

    pub fn action(&self, mode: Mode, event: KeyEvent) -> Option<Action> {
        let pressed = Key::of(event);
        self.of(mode)
            .find(|bound| bound.keys.contains(&pressed))
            .map(|bound| bound.binding.action)
    }
}

fn is_of(bound: &Bound, action: Action) -> bool {
    bound.binding.action == action && !bound.binding.is_of_prompts()
}

fn read(text: &str) -> Result<(Action, Vec<Key>), KeymapError> {
    let Some((name, keys)) = text.split_once('=') else {
        return Err(KeymapError::Malformed(text.to_owned()));
    };
    let name = name.trim();
    let actions = || {
        let places = BINDINGS.iter().filter(|binding| !binding.is_of_prompts());
        places.map(|binding| binding.action)
    };
    let Some(action) = actions().find(|action| action.name() == name) else {
        let near = suggest(name, actions().map(Action::name));
        return Err(KeymapError::UnknownAction {
            name: name.to_owned(),
            near,
        });
    };
    let keys = keys.split(',').map(|key| parse(key.trim()));
    Ok((action, keys.collect::<Result<_, _>>()?))
}

/// A key as people write it: `x`, `G`, `enter`, `ctrl-x`, `f5`.
fn parse(text: &str) -> Result<Key, KeymapError> {
    let mut modifiers = KeyModifiers::NONE;
    let mut rest = text;
    // A single letter is a key, whatever it is.
    while rest.chars().count() > 1 {
        let lower = rest.to_ascii_lowercase();
        let Some((with, modifier)) = WITH.iter().find(|(with, _)| lower.starts_with(with)) else {
            break;
        };
        modifiers |= *modifier;
        rest = rest.get(with.len()..).unwrap_or_default();
    }
    let lower = rest.to_ascii_lowercase();
    let number = lower.strip_prefix('f').and_then(|n| n.parse().ok());
    let mut chars = rest.chars();
    let code = match (chars.next(), chars.next()) {
        (Some(c), None) if modifiers.contains(KeyModifiers::CONTROL) => {
            KeyCode::Char(c.to_ascii_lowercase())
        }
        (Some(c), None) if modifiers.contains(KeyModifiers::SHIFT) => {
            KeyCode::Char(c.to_ascii_uppercase())
        }
        (Some(c), None) if !c.is_control() => KeyCode::Char(c),
        _ => match (NAMED.iter().find(|(name, _)| *name == lower), number) {
            (Some((_, code)), _) => *code,
            (None, Some(n @ 1..=12)) => KeyCode::F(n),
            _ => {
                let near = suggest(&lower, NAMED.iter().map(|(name, _)| *name));
                return Err(KeymapError::UnknownKey {
                    name: text.to_owned(),
                    near,
                });
            }
        },
    };
    Ok(Key::of(KeyEvent::new(code, modifiers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(texts: &[&str]) -> Result<Keymap, KeymapError> {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        Keymap::new(&texts)
    }

    fn wrong(texts: &[&str]) -> String {
        map(texts).unwrap_err().to_string()
    }

    #[test]
    fn unknown_names_are_reported_with_a_suggestion() {
        assert_eq!(
            wrong(&["qiut = x"]),
            "unknown action \"qiut\"; did you mean \"quit\"?"
        );
        assert_eq!(
            wrong(&["quit = entr"]),
            "unknown key \"entr\"; did you mean \"enter\"?"
        );
        assert!(wrong(&["quit"]).contains("for example"));
        assert!(wrong(&["quit = "]).contains("unknown key \"\""));
        assert!(wrong(&["quit = f13"]).contains("unknown key \"f13\""));
        assert_eq!(wrong(&["quit = x", "quit = y"]), "quit is listed twice");
        assert_eq!(
            wrong(&["quit = x", "help = x"]),
            "x is bound to both quit and help"
        );
        assert!(
            wrong(&["quit = s"])
                .starts_with("s is bound to quit, which leaves sort-next without a key")
        );
        assert!(map(&["quit = s", "sort-next = X"]).is_ok());
        assert!(
            wrong(&["accept = x"]).contains("unknown action"),
            "keys of prompts are fixed"
        );
    }

    #[test]
    fn every_key_of_the_table_can_be_written() {
        for binding in BINDINGS.iter().filter(|binding| !binding.is_of_prompts()) {
            for key in binding.keys {
                assert_eq!(parse(&key.name(true)).unwrap(), *key);
            }
        }
        assert_eq!(parse("shift-a").unwrap(), parse("A").unwrap());
        assert_eq!(parse("alt-x").unwrap().name(true), "Alt-x");
    }
}
