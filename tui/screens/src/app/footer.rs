//! The line at the bottom: the most important keys, a prompt, or a remark.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::operate;
use super::state::State;
use crate::fleet::{Filter, HINT};
use crate::keys::{Action, Mode};
use crate::theme::Severity;
use crate::widgets::paint::Pen;

const GAP: usize = 3;

struct Word {
    x: usize,
    key: String,
    word: &'static str,
    action: Action,
}

impl Word {
    fn width(&self) -> usize {
        self.key.width() + 1 + self.word.width()
    }
}

/// Whether what is typed as a filter is meant as a regular expression and is none.
fn is_wrong(state: &State) -> bool {
    state.context.mode() == Mode::Filter && state.screen().is_filter_invalid()
}

fn lead(state: &State, width: usize) -> Vec<(String, Style)> {
    let theme = &state.context.theme;
    let silence = format!("silence {} for ", operate::chosen_scope(state));
    let prompt = match state.context.mode() {
        Mode::Filter => Some("filter "),
        Mode::Time => Some("time (14:03, -2h, yesterday 9:00) "),
        Mode::Export => Some("save as (.svg .txt .json .csv) "),
        Mode::Palette => Some(": "),
        Mode::Silence => Some(silence.as_str()),
        _ => None,
    };
    if let Some(prompt) = prompt {
        let cursor = (theme.pick("▏", "_").to_owned(), theme.key);
        // What is typed goes before what is asked, and its end before its beginning.
        let room = width.saturating_sub(2);
        // What is wrong with it goes before what is asked.
        let wrong = state
            .remark
            .as_ref()
            .map_or(0, |(text, _)| text.width() + 3);
        let fits = prompt.width() + state.prompt.input.width() + wrong <= room;
        let prompt = if fits { prompt } else { "" };
        let mut rest = state.prompt.input.as_str();
        while rest.width() > room {
            let mut chars = rest.chars();
            chars.next();
            rest = chars.as_str();
        }
        let mut lead = vec![
            (prompt.to_owned(), theme.dim),
            (rest.to_owned(), theme.text),
            cursor,
        ];
        if is_wrong(state) {
            let wrong = "   not a regular expression: matched as plain text".to_owned();
            lead.push((wrong, theme.severity(Severity::Warning)));
        }
        if state.remark.is_none() {
            lead.extend(understood(state, &lead, width));
        }
        if let Some((remark, _)) = &state.remark {
            lead.push((format!("   {remark}"), theme.severity(Severity::Warning)));
        }
        return lead;
    }
    if let Some((remark, _)) = &state.remark {
        return vec![(remark.clone(), theme.text)];
    }
    if !state.screens.fleet.filter.is_empty() && state.context.mode() == Mode::Fleet {
        return vec![
            ("filter ".to_owned(), theme.dim),
            (state.screens.fleet.filter.clone(), theme.text),
        ];
    }
    Vec::new()
}

/// What is understood of the filter that is being typed, where there is room to say so.
fn understood(state: &State, lead: &[(String, Style)], width: usize) -> Option<(String, Style)> {
    let theme = &state.context.theme;
    if state.context.mode() == Mode::Silence {
        let (text, style) = match operate::understood(state) {
            Ok(text) => (text, theme.dim),
            Err(error) => (error, theme.severity(Severity::Warning)),
        };
        return Some((format!("   {text}"), style));
    }
    if state.context.mode() != Mode::Filter || state.context.place() != Mode::Fleet {
        return None;
    }
    let (shown, all) = (
        state.screens.fleet.shown_len(),
        state.screens.fleet.names().count(),
    );
    let (text, style) = match Filter::new(&state.prompt.input).explain() {
        Ok(text) if text.is_empty() => (HINT.to_owned(), theme.dim),
        Ok(text) => (format!("{text}: {shown} of {all}"), theme.dim),
        Err(error) => (error.to_string(), theme.severity(Severity::Warning)),
    };
    let taken =
        |lead: &[(String, Style)]| -> usize { lead.iter().map(|(text, _)| text.width()).sum() };
    let keys = words(state, &[], width);
    let keys: usize = keys.iter().map(|word| word.width() + GAP).sum();
    let room = width.saturating_sub(1 + taken(lead) + keys + GAP);
    let short = format!("{shown} of {all}");
    let fitting = [text, short].into_iter().find(|text| text.width() <= room);
    fitting.map(|text| (format!("   {text}"), style))
}

/// Keys of a screen at most; those of all screens are at the right.
const OWN_MAX: usize = 5;

fn words(state: &State, lead: &[(String, Style)], width: usize) -> Vec<Word> {
    let context = &state.context;
    let mut bound: Vec<(Action, String, &'static str)> = Vec::new();
    for of_mode in context.keys.of(context.mode()) {
        let action = of_mode.binding.action;
        let (Some(word), Some(key)) = (of_mode.binding.footer, of_mode.keys.first()) else {
            continue;
        };
        let word = match action {
            Action::CursorLeft if !state.screens.host.has_cursor() => "past",
            _ => word,
        };
        // Only the past has a way back.
        if action != Action::Live || context.at.is_some() {
            bound.push((action, key.name(context.theme.ascii), word));
        }
    }
    let is_of_all = |action: Action| matches!(action, Action::Palette | Action::Help);
    let mut right: Vec<Word> = Vec::new();
    let mut end = width.saturating_sub(1);
    for (action, key, word) in bound.iter().rev().filter(|(action, ..)| is_of_all(*action)) {
        let key = key.clone();
        let mut word = Word {
            x: 0,
            key,
            word,
            action: *action,
        };
        let Some(x) = end.checked_sub(word.width()) else {
            break;
        };
        word.x = x;
        end = x.saturating_sub(GAP);
        right.push(word);
    }
    let mut x = 1;
    if !lead.is_empty() {
        x += lead.iter().map(|(text, _)| text.width()).sum::<usize>() + GAP;
    }
    // What is said goes before keys that all screens have.
    right.retain(|word| word.x > x);
    let end = right.iter().map(|word| word.x).min().unwrap_or(width);
    let mut own: Vec<_> = bound
        .into_iter()
        .filter(|(action, ..)| !is_of_all(*action))
        .collect();
    own.sort_by_key(|(action, ..)| *action != Action::Live);
    let mut words = Vec::new();
    for (action, key, word) in own.into_iter().take(OWN_MAX) {
        let word = Word {
            x,
            key,
            word,
            action,
        };
        let next = x + word.width() + GAP;
        if next > end + usize::from(right.is_empty()) * GAP {
            break;
        }
        x = next;
        words.push(word);
    }
    words.extend(right);
    words
}

pub(super) fn action_at(state: &State, x: u16) -> Option<Action> {
    let (x, width) = (usize::from(x), usize::from(state.context.size.width));
    let words = words(state, &lead(state, width), width);
    let hit = words
        .iter()
        .find(|word| (word.x..word.x + word.width()).contains(&x));
    hit.map(|word| word.action)
}

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = &state.context.theme;
    let width = usize::from(area.width);
    let lead = lead(state, width);
    let mut pen = Pen::new(buffer, area, 0);
    pen.skip(1);
    for (text, style) in &lead {
        pen.text(text, *style);
    }
    for word in words(state, &lead, width) {
        let x = area.x + word.x as u16;
        if word.action == Action::Live {
            let text = format!(" {} {} ", word.key, word.word);
            pen.to(x - 1).text(&text, theme.header_past);
            continue;
        }
        pen.to(x)
            .text(&word.key, theme.key)
            .skip(1)
            .text(word.word, theme.dim);
    }
}
