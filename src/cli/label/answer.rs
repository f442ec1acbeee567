//! What a person types to label an article.

use super::Labels;

/// The answer for an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Labels(Labels),
    Skip,
    /// Take back the last article.
    Undo,
    Quit,
}

/// What a line of topics means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Codes, the main topic first.
    Labels(Vec<String>),
    /// List all topics.
    List,
    Other(Answer),
}

/// Reads a line: numbers of the offered codes, separated by blanks or commas; or one name or code, or several separated by
/// commas. `names` has the code and the name of each topic.
///
/// # Errors
/// What is wrong.
pub fn read(line: &str, offered: &[&str], names: &[(&str, &str)]) -> Result<Choice, String> {
    let line = line.trim();
    match line {
        "" => {
            let best = offered.first().ok_or("no topic is offered: type a name, or ? for all")?;
            return Ok(Choice::Labels(vec![(*best).to_owned()]));
        }
        "s" => return Ok(Choice::Other(Answer::Skip)),
        "u" => return Ok(Choice::Other(Answer::Undo)),
        "q" => return Ok(Choice::Other(Answer::Quit)),
        "?" => return Ok(Choice::List),
        _ => {}
    }
    let are_numbers = line.chars().all(|c| c.is_ascii_digit() || c == ' ' || c == ',');
    let parts = match are_numbers {
        true => line.split([' ', ',']).collect::<Vec<_>>(),
        false => line.split(',').collect(),
    };
    let mut codes: Vec<String> = Vec::new();
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        let code = match part.parse::<usize>() {
            Ok(number) => *number.checked_sub(1).and_then(|at| offered.get(at)).ok_or("no topic has this number")?,
            Err(_) => find(part, names)?,
        };
        if !codes.iter().any(|known| known == code) {
            codes.push(code.to_owned());
        }
    }
    Ok(Choice::Labels(codes))
}

/// The code of a topic by its code, its name, or a beginning of its name that no other has.
fn find<'n>(text: &str, names: &[(&'n str, &str)]) -> Result<&'n str, String> {
    let text = text.to_lowercase();
    let exact = names.iter().find(|(code, name)| code.to_lowercase() == text || name.to_lowercase() == text);
    if let Some((code, _)) = exact {
        return Ok(code);
    }
    let begins: Vec<_> = names.iter().filter(|(_, name)| name.to_lowercase().starts_with(&text)).collect();
    match begins[..] {
        [(code, _)] => Ok(code),
        [] => Err(format!("no topic {text:?}: ? lists all")),
        _ => Err(format!("several topics begin with {text:?}: type more of the name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_commands_are_understood() {
        let names = [("a1", "sport"), ("a2", "science and technology"), ("a3", "society")];
        let read = |line: &str| read(line, &["a2", "a1"], &names);
        let labels = |codes: &[&str]| Ok(Choice::Labels(codes.iter().map(|code| (*code).to_owned()).collect()));
        assert_eq!(read("\n"), labels(&["a2"]));
        assert_eq!(read("2 1\n"), labels(&["a1", "a2"]));
        assert_eq!(read("2,2"), labels(&["a1"]));
        assert_eq!(read("Society, sc, A1"), labels(&["a3", "a2", "a1"]));
        assert_eq!(read("science and technology"), labels(&["a2"]));
        assert_eq!(read("s"), Ok(Choice::Other(Answer::Skip)));
        assert_eq!(read("?"), Ok(Choice::List));
        for wrong in ["3", "0", "so, x", "99999999999999999999", "xyz"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read("s o").is_err(), "two topics begin with s");
    }
}
