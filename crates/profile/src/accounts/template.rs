use std::fmt;

use crate::spelling;

/// What a name may take from the device or its user, written `{{word}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// `{{partialupn}}`: the part of the user principal name before the `@`.
    PartialUpn,
    /// `{{username}}`: the full name of the user.
    UserName,
    /// `{{serial_number}}`: the serial number of the device.
    SerialNumber,
    /// `{{device_name}}`: the name of the device.
    DeviceName,
}

impl Variable {
    /// All variables there are.
    pub const ALL: [Self; 4] = [Self::PartialUpn, Self::UserName, Self::SerialNumber, Self::DeviceName];

    /// The word that stands between the braces.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PartialUpn => "partialupn",
            Self::UserName => "username",
            Self::SerialNumber => "serial_number",
            Self::DeviceName => "device_name",
        }
    }

    /// Whether only a user who has signed in gives it a value.
    #[must_use]
    pub fn needs_user(self) -> bool {
        matches!(self, Self::PartialUpn | Self::UserName)
    }
}

impl fmt::Display for Variable {
    /// As it is written in a name, with its braces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{{}}}}}", self.word())
    }
}

/// The values of the variables for one device. What is not known stays empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// The name with which the user signs in, like `robin@example.org`.
    pub user_principal_name: Option<String>,
    /// The user's name for people, like `Robin Example`.
    pub user_full_name: Option<String>,
    /// The serial number, as Apple writes it.
    pub serial_number: Option<String>,
    /// The name that the device has or is to have.
    pub device_name: Option<String>,
}

impl Variables {
    /// The value of a variable; `None` also for a blank one, because a blank name is none. A user principal name
    /// without an `@` has no domain to take off, and is taken whole.
    #[must_use]
    pub fn value(&self, variable: Variable) -> Option<&str> {
        let value = match variable {
            Variable::PartialUpn => {
                let name = self.user_principal_name.as_deref()?;
                name.split_once('@').map_or(name, |(user, _)| user)
            }
            Variable::UserName => self.user_full_name.as_deref()?,
            Variable::SerialNumber => self.serial_number.as_deref()?,
            Variable::DeviceName => self.device_name.as_deref()?,
        };
        let value = value.trim();
        (!value.is_empty()).then_some(value)
    }
}

/// A variable that stands in a name and has no value for this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the variable {0} has no value for this device")]
pub struct MissingValue(pub Variable);

/// A name with variables in it, like `{{partialupn}}` or `Mac {{serial_number}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

/// What is wrong with the variables of a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A variable that there is not.
    #[error("there is no variable {{{{{word}}}}}")]
    Unknown {
        /// What stands between the braces.
        word: String,
        /// The variable that was probably meant.
        nearest: Option<Variable>,
    },
    /// `{{` without `}}` after it.
    #[error("a variable begins with {{{{ and does not end with }}}}")]
    Unclosed,
}

impl Template {
    /// Reads a name and the variables in it.
    ///
    /// # Errors
    /// Everything that is wrong with the variables, at once.
    pub fn parse(text: &str) -> Result<Self, Vec<TemplateError>> {
        let mut parts = Vec::new();
        let mut errors = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let Some((word, after)) = after.split_once("}}") else {
                errors.push(TemplateError::Unclosed);
                rest = "";
                break;
            };
            let word = word.trim();
            match Variable::ALL.into_iter().find(|variable| variable.word() == word) {
                Some(variable) => parts.push(Part::Variable(variable)),
                None => errors.push(TemplateError::Unknown { word: word.to_owned(), nearest: nearest(word) }),
            }
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if errors.is_empty() { Ok(Self(parts)) } else { Err(errors) }
    }

    /// A name that is the same for every device, whatever it contains.
    #[must_use]
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        Self(if text.is_empty() { Vec::new() } else { vec![Part::Text(text)] })
    }

    /// The variables in their order.
    pub fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable(variable) => Some(*variable),
        })
    }

    /// The first variable that only a user who has signed in gives a value.
    #[must_use]
    pub fn first_of_user(&self) -> Option<Variable> {
        self.variables().find(|variable| variable.needs_user())
    }

    /// The name itself, when it contains no variable.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The texts between the variables; the flag says whether the name begins with it.
    pub(super) fn texts(&self) -> impl Iterator<Item = (bool, &str)> {
        self.0.iter().enumerate().filter_map(|(at, part)| match part {
            Part::Text(text) => Some((at == 0, text.as_str())),
            Part::Variable(_) => None,
        })
    }

    /// The name for one device.
    ///
    /// # Errors
    /// The first variable that has no value.
    pub fn render(&self, variables: &Variables) -> Result<String, MissingValue> {
        let mut name = String::new();
        for part in &self.0 {
            name.push_str(match part {
                Part::Text(text) => text,
                Part::Variable(variable) => variables.value(*variable).ok_or(MissingValue(*variable))?,
            });
        }
        Ok(name)
    }
}

impl fmt::Display for Template {
    /// As it is written in a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Variable(variable) => variable.fmt(f),
        })
    }
}

/// The words of other systems are far from ours in letters, so those are in a list of their own.
fn nearest(word: &str) -> Option<Variable> {
    let other = match word.to_ascii_lowercase().as_str() {
        "manageddevicename" | "computername" | "hostname" => Some(Variable::DeviceName),
        "serial" => Some(Variable::SerialNumber),
        "onpremisessamaccountname" | "userprincipalname" | "upn" => Some(Variable::PartialUpn),
        "fullname" | "displayname" | "realname" => Some(Variable::UserName),
        _ => None,
    };
    other.or_else(|| {
        let near = spelling::nearest(word, Variable::ALL.into_iter().map(Variable::word))?;
        Variable::ALL.into_iter().find(|variable| variable.word() == near)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn robin() -> Variables {
        Variables {
            user_principal_name: Some("robin@example.org".into()),
            user_full_name: Some("Robin Example".into()),
            serial_number: Some("C02EXAMPLE01".into()),
            device_name: Some("Mac of Robin".into()),
        }
    }

    #[test]
    fn variables_take_the_values_of_the_device() {
        for (text, name) in [
            ("{{partialupn}}", "robin"),
            ("{{username}}", "Robin Example"),
            ("mac-{{serial_number}}-x", "mac-C02EXAMPLE01-x"),
            ("{{ device_name }}{{partialupn}}", "Mac of Robinrobin"),
            ("plain } { }} text", "plain } { }} text"),
            ("", ""),
        ] {
            let template = Template::parse(text).expect("good");
            assert_eq!(template.render(&robin()).as_deref(), Ok(name), "{text}");
        }
    }

    #[test]
    fn a_missing_value_names_its_variable() {
        let template = Template::parse("a{{serial_number}}{{partialupn}}").expect("good");
        let nobody = Variables { user_principal_name: Some(" @example.org".into()), ..robin() };
        assert_eq!(template.render(&nobody), Err(MissingValue(Variable::PartialUpn)));
        let nothing = template.render(&Variables::default()).expect_err("no value");
        assert_eq!(nothing.to_string(), "the variable {{serial_number}} has no value for this device");
        assert_eq!(robin().value(Variable::PartialUpn), Some("robin"));
        let short = Variables { user_principal_name: Some("robin".into()), ..Variables::default() };
        assert_eq!(short.value(Variable::PartialUpn), Some("robin"));
    }

    #[test]
    fn unknown_variables_are_told_at_once_with_the_nearest() {
        let errors =
            Template::parse("{{serialNumber}}{{managedDeviceName}}{{frobnicate}}{{x").expect_err("bad");
        let nearest: Vec<_> = errors
            .iter()
            .map(|error| match error {
                TemplateError::Unknown { nearest, .. } => *nearest,
                TemplateError::Unclosed => None,
            })
            .collect();
        assert_eq!(nearest, [Some(Variable::SerialNumber), Some(Variable::DeviceName), None, None]);
        assert_eq!(errors[2].to_string(), "there is no variable {{frobnicate}}");
        assert_eq!(errors[3].to_string(), "a variable begins with {{ and does not end with }}");
    }

    #[test]
    fn the_other_questions_about_a_name() {
        let template = Template::parse("x{{serial_number}}y{{username}}").expect("good");
        assert_eq!(template.first_of_user(), Some(Variable::UserName));
        assert_eq!(template.as_literal(), None);
        assert_eq!(template.texts().collect::<Vec<_>>(), [(true, "x"), (false, "y")]);
        assert_eq!(Template::literal("{{x}}").as_literal(), Some("{{x}}"));
        assert_eq!(Template::literal("").as_literal(), Some(""));
    }

    proptest! {
        /// Whatever a name holds, reading and rendering end without a panic, and what was read is written again
        /// so that it reads the same.
        #[test]
        fn reading_and_rendering_never_panic(
            text in "(\\{\\{|\\}\\}|partialupn|username|serial_number|device_name|[ a-zÄ{}])*",
            upn in prop::option::of(".{0,8}"),
            serial in prop::option::of(".{0,8}"),
        ) {
            if let Ok(template) = Template::parse(&text) {
                prop_assert_eq!(Template::parse(&template.to_string()), Ok(template.clone()));
                let variables = Variables {
                    user_principal_name: upn, serial_number: serial, ..Variables::default()
                };
                if let Err(MissingValue(variable)) = template.render(&variables) {
                    prop_assert_eq!(variables.value(variable), None);
                    prop_assert!(template.variables().any(|used| used == variable));
                }
            }
        }
    }
}
