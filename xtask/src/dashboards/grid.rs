//! Where panels stand: from left to right in a grid of 24 columns, under the heading of their row.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::model::{Dashboard, Row, Shape};
use super::{DataSource, panel};

const COLUMNS: u32 = 24;

fn size(shape: &Shape) -> (u32, u32) {
    match shape {
        Shape::Chart { .. } => (8, 9),
        Shape::Number(_) => (4, 4),
        Shape::Table(_) => (24, 9),
        Shape::Sql { is_chart: true, .. } => (24, 7),
        Shape::Sql {
            is_chart: false, ..
        } => (12, 9),
    }
}

struct Grid {
    id: u32,
    y: u32,
}

/// The panels of a dashboard in their places.
pub(super) fn place(dashboard: &Dashboard, source: &dyn DataSource) -> Result<Vec<Value>> {
    let mut grid = Grid { id: 0, y: 0 };
    let mut placed = Vec::new();
    for row in &dashboard.rows {
        let heading = grid.next_id();
        let at = json!({ "x": 0, "y": grid.y, "w": COLUMNS, "h": 1 });
        grid.y += 1;
        let panels = grid.row(row, dashboard, source)?;
        if panels.is_empty() {
            continue;
        }
        let mut heading = json!({
            "type": "row", "id": heading, "title": row.title, "collapsed": !row.is_open, "gridPos": at, "panels": [],
        });
        // Grafana asks for panels below a closed heading only once it is opened.
        if row.is_open {
            placed.push(heading);
            placed.extend(panels);
        } else {
            let heading_map = heading.as_object_mut().context("an object")?;
            heading_map.insert("panels".to_owned(), Value::Array(panels));
            placed.push(heading);
        }
    }
    Ok(placed)
}

impl Grid {
    fn next_id(&mut self) -> u32 {
        self.id += 1;
        self.id
    }

    fn row(
        &mut self,
        row: &Row,
        dashboard: &Dashboard,
        source: &dyn DataSource,
    ) -> Result<Vec<Value>> {
        let (mut x, mut height, mut panels) = (0, 0, Vec::new());
        for panel in &row.panels {
            let Some(mut rendered) = panel::render(panel, dashboard, source) else {
                continue;
            };
            let (w, h) = size(&panel.shape);
            if x + w > COLUMNS {
                self.y += height;
                (x, height) = (0, 0);
            }
            let fields = rendered.as_object_mut().context("an object")?;
            fields.insert("id".to_owned(), json!(self.next_id()));
            fields.insert(
                "gridPos".to_owned(),
                json!({ "x": x, "y": self.y, "w": w, "h": h }),
            );
            panels.push(rendered);
            x += w;
            height = height.max(h);
        }
        self.y += height;
        Ok(panels)
    }
}
