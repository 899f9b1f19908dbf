//! What is shown given to others: the clipboard and files.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::act::go;
use super::{Effect, remark};
use crate::keys::Mode;
use crate::state::State;
use crate::state::shown::{Records, file_name, row};
use crate::{svg, text, view};

/// Bytes copied at most: what terminals take at once.
const COPY_MAX: usize = 64 << 10;

/// Copies the selected row.
pub(super) fn copy(state: &mut State) -> Vec<Effect> {
    match row(state) {
        Some((_, text)) if text.len() > COPY_MAX => {
            remark(state, "that is too long to copy".to_owned());
            Vec::new()
        }
        Some((what, text)) => {
            remark(state, format!("copied {what}"));
            vec![Effect::Copy(text)]
        }
        None => {
            remark(state, "there is nothing to copy".to_owned());
            Vec::new()
        }
    }
}

/// Asks for the name of a file.
pub(super) fn ask_name(state: &mut State) {
    state.input = file_name(state);
    state.is_proposed = true;
    go(state, Mode::Export);
}

/// Makes a file of what is shown, of the kind its name ends in.
pub(super) fn export(state: &mut State, path: &str) -> Vec<Effect> {
    let ending = path
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_lowercase());
    let content = match ending.as_deref() {
        Some("svg") => svg::svg(&screen(state), &format!("sysmon: {}", place_name(state))),
        Some("txt") => text::plain(&screen(state)),
        Some("json") => Records::of(state).to_json(),
        Some("csv") => Records::of(state).to_csv(),
        _ => {
            remark(
                state,
                "a file's name has to end in .svg, .txt, .json or .csv".to_owned(),
            );
            return Vec::new();
        }
    };
    let path = path.to_owned();
    vec![Effect::Export { path, content }]
}

fn screen(state: &State) -> Buffer {
    let area = Rect::new(0, 0, state.size.width, state.size.height);
    let mut buffer = Buffer::empty(area);
    view::draw(state, area, &mut buffer);
    buffer
}

fn place_name(state: &State) -> String {
    match &state.host {
        Some(host) => host.name.to_string(),
        None => "the fleet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Feed;
    use crate::testing::{fleet, press, process};
    use crate::update::{Message, update};
    use sysmon_wire::UnixMs;

    #[test]
    fn the_selected_row_is_copied() {
        let mut state = fleet();
        assert_eq!(
            press(&mut state, "jy"),
            [Effect::Copy("b  live  cpu 20%".to_owned())]
        );
        assert_eq!(state.remark.as_ref().unwrap().0, "copied b");
        assert!(
            matches!(&press(&mut state, "\ny")[..], [Effect::Copy(text)] if text.starts_with("b  "))
        );
        assert_eq!(press(&mut state, "py"), []);
        assert!(state.remark.as_ref().unwrap().0.contains("nothing"));
        let processes = vec![process(7, "cc1", 905, 5 << 20)];
        update(
            &mut state,
            Message::Feed(Feed::Processes {
                time: UnixMs(5),
                all: true,
                processes,
            }),
        );
        let Effect::Copy(text) = press(&mut state, "y").remove(0) else {
            panic!()
        };
        assert!(
            text.starts_with("7  root  cc1  cpu 90.5%  memory 5"),
            "{text}"
        );
    }

    #[test]
    fn a_file_is_of_the_kind_its_name_ends_in() {
        let mut state = fleet();
        press(&mut state, "e");
        assert_eq!(state.input, "sysmon-fleet-1970-01-01T00-16-40.svg");
        let [Effect::Export { path, content }] = &press(&mut state, "\n")[..] else {
            panic!()
        };
        assert!(path.ends_with(".svg") && content.starts_with("<svg") && !content.contains("save"));
        assert_eq!(state.mode, Mode::Fleet);
        let mut of = |name: &str| match &press(&mut state, &format!("e\u{15}{name}\n"))[..] {
            [Effect::Export { content, .. }] => content.clone(),
            _ => String::new(),
        };
        assert!(of("x.txt").starts_with(" sysmon"));
        assert!(of("x.JSON").contains("\"hosts\""));
        assert!(of("x.csv").starts_with("name,"));
        assert_eq!(of("x.png"), "");
        assert!(state.remark.as_ref().unwrap().0.contains(".svg, .txt"));
    }
}
