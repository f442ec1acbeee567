//! JSON objects whose fields keep their order and their bytes.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// A JSON object: its fields in order, including repeated ones, each with its value as written.
#[derive(Debug, Clone)]
pub struct Object(Vec<(String, Box<RawValue>)>);

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        let text = |object: &Object| -> Vec<(String, String)> {
            object.0.iter().map(|(name, value)| (name.clone(), value.get().to_owned())).collect()
        };
        text(self) == text(other)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsAsWritten;
        impl<'de> Visitor<'de> for FieldsAsWritten {
            type Value = Object;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(FieldsAsWritten)
    }
}

impl Object {
    /// Parses a JSON object; `None` for anything else.
    pub fn read(json: &[u8]) -> Option<Object> {
        serde_json::from_slice(json).ok()
    }

    /// Makes an object of fields.
    pub fn of<'a>(fields: impl Iterator<Item = (&'a str, serde_json::Value)>) -> Object {
        // A value always serialises as valid JSON.
        let raw = |value: serde_json::Value| RawValue::from_string(value.to_string()).ok();
        Object(fields.filter_map(|(name, value)| Some((name.to_owned(), raw(value)?))).collect())
    }

    /// The names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The fields, with their values as written.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    /// The value of the first field of a name.
    pub fn find(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| &**value)
    }

    /// The object on one line, with the JSON values of some fields replaced; fields that it lacks are added at the end.
    pub fn written_with(&self, mut replaced: Vec<(&str, String)>) -> String {
        let field = |name: &str, value: &str| format!("{}:{value}", serde_json::Value::from(name));
        let mut written: Vec<String> = Vec::with_capacity(self.0.len() + replaced.len());
        for (name, value) in &self.0 {
            let new = replaced.iter().position(|(other, _)| other == name).map(|i| replaced.remove(i).1);
            written.push(field(name, &new.unwrap_or_else(|| on_one_line(value.get()))));
        }
        written.extend(replaced.iter().map(|(name, value)| field(name, value)));
        format!("{{{}}}", written.join(","))
    }
}

/// Removes white space outside strings from JSON.
pub fn on_one_line(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    json.chars()
        .filter(|c| {
            let is_kept = quoted || !c.is_ascii_whitespace();
            if *c == '"' && !escaped {
                quoted = !quoted;
            }
            escaped = quoted && *c == '\\' && !escaped;
            is_kept
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_kept_as_written() {
        let object = Object::read(b"{ \"a\" : [1.0, \"x \\\" y\"],\n \"b\": 1e400, \"a\": 2 }").expect("an object");
        let replaced = object.written_with(vec![("b", "3".into()), ("c", "[ ]".into())]);
        assert_eq!(replaced, r#"{"a":[1.0,"x \" y"],"b":3,"a":2,"c":[ ]}"#);
        assert_eq!(object.written_with(Vec::new()), r#"{"a":[1.0,"x \" y"],"b":1e400,"a":2}"#);
        assert!(Object::read(b"[1]").is_none());
    }
}
