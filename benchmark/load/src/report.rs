//! One flat JSON object.

use std::fmt::Write;

#[derive(Default)]
pub struct Report {
    fields: Vec<(&'static str, String)>,
}

impl Report {
    pub fn text(mut self, name: &'static str, value: &'static str) -> Self {
        self.fields.push((name, format!("\"{value}\"")));
        self
    }

    pub fn count(mut self, name: &'static str, value: impl Into<u64>) -> Self {
        self.fields.push((name, value.into().to_string()));
        self
    }

    /// `null` when there is no figure.
    pub fn figure(mut self, name: &'static str, value: impl Into<Option<f64>>) -> Self {
        let value = match value.into() {
            Some(value) if value.is_finite() => format!("{}", (value * 1e4).round() / 1e4),
            _ => "null".into(),
        };
        self.fields.push((name, value));
        self
    }

    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        for (index, (name, value)) in self.fields.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(out, "{comma}\"{name}\":{value}");
        }
        out + "}"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_json() {
        let report = Report::default()
            .text("mode", "echo")
            .count("n", 3u64)
            .figure("a", 0.12345)
            .figure("b", f64::NAN);
        assert_eq!(
            report.to_json(),
            r#"{"mode":"echo","n":3,"a":0.1235,"b":null}"#
        );
    }
}
