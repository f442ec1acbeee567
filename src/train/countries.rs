//! Labels of countries: codes and names, as archives write them.

use crate::{geography, region::country_by_name};

/// The code of a country, or of the European Union, by its ISO 3166-1 code of two or three letters or its English name, in any
/// case; `None` if the label is none of these.
pub fn country_code(label: &str) -> Option<&'static str> {
    let place = geography::subject(label).or_else(|| geography::country_by_alpha3(label));
    place.map(|place| &*place.code).or_else(|| country_by_name(label.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_known() {
        for (label, code) in [
            ("KE", "KE"),
            (" gb ", "GB"),
            ("UK", "GB"),
            ("GBR", "GB"),
            ("usa", "US"),
            ("United States", "US"),
            ("georgia", "GE"),
            ("Jordan", "JO"),
            ("DR Congo", "CD"),
            ("EU", "EU"),
        ] {
            assert_eq!(country_code(label), Some(code), "{label}");
        }
        for label in ["150", "Europe", "Nairobi", "Kenyan", "", "ZZ", "Pakistani"] {
            assert_eq!(country_code(label), None, "{label}");
        }
    }
}
