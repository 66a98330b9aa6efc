//! Text to tokens.

use std::ops::Range;

use super::problem::{Problem, ProblemKind};

/// One word of the language.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Digits without a sign: the smallest integer has no positive counterpart, so the parser joins sign and digits.
    Int(u64),
    /// Digits with a `u` behind them, for an integer that fits only without a sign.
    Uint(u64),
    Double(f64),
    /// A string literal with its escapes replaced.
    Text(String),
    Name(String),
    True,
    False,
    Null,
    In,
    Dot,
    /// `.?`
    OptionalDot,
    Comma,
    Question,
    Colon,
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    Not,
    Minus,
    Plus,
    Star,
    Slash,
    Percent,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    End,
}

/// A token and the bytes of the text that it stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) range: Range<usize>,
}

/// Cuts `text` into tokens, the last of which is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, Problem> {
    let mut lexer = Lexer { text, at: 0 };
    let mut out = Vec::new();
    loop {
        lexer.skip_space();
        let start = lexer.at;
        let token = lexer.next()?;
        let ended = token == Token::End;
        out.push(Spanned {
            token,
            range: start..lexer.at,
        });
        if ended {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n', '\x0c']);
        self.at += rest.len() - trimmed.len();
    }

    /// A problem over the `len` bytes from here.
    fn problem(&self, len: usize, message: impl Into<String>, help: &str) -> Problem {
        Problem::new(ProblemKind::Syntax, self.at..self.at + len, message).help(help)
    }

    fn unsupported(&self, len: usize, message: &str, help: &str) -> Problem {
        Problem::new(
            ProblemKind::UnsupportedFeature,
            self.at..self.at + len,
            message,
        )
        .help(help)
    }

    fn next(&mut self) -> Result<Token, Problem> {
        let Some(first) = self.peek() else {
            return Ok(Token::End);
        };
        if first.is_ascii_digit() || (first == '.' && self.digit_at(1)) {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return self.word();
        }
        if first == '"' || first == '\'' {
            return self.text_literal(first);
        }
        self.symbol(first)
    }

    fn digit_at(&self, offset: usize) -> bool {
        self.rest()
            .as_bytes()
            .get(offset)
            .is_some_and(u8::is_ascii_digit)
    }

    fn symbol(&mut self, first: char) -> Result<Token, Problem> {
        let rest = self.rest();
        // A table of slips comes before the table of symbols: each slip starts like a symbol.
        for (slip, message, help) in [
            (
                "===",
                "`===` is not an operator",
                "compare with `==`: it never converts types",
            ),
            (
                "!==",
                "`!==` is not an operator",
                "compare with `!=`: it never converts types",
            ),
            (
                "?.",
                "`?.` is not an operator",
                "a field that may be missing is read with `.?`: `a.?b.orValue(x)`",
            ),
            ("??", "`??` is not an operator", "write `a.?b.orValue(x)`"),
            ("<>", "`<>` is not an operator", "write `!=`"),
            (
                "**",
                "`**` is not an operator",
                "there is no power operator: multiply, or compute it in a step",
            ),
        ] {
            let ternary = slip == "?." && self.digit_at(2);
            if rest.starts_with(slip) && !ternary {
                return Err(self.problem(slip.len(), message, help));
            }
        }
        if rest.starts_with("${") {
            return Err(Problem::template_in_expression(
                self.at..self.at + 2,
                self.text,
            ));
        }
        if rest.starts_with("{{") {
            return Err(Problem::template_in_expression(
                self.at..self.at + 2,
                self.text,
            ));
        }
        if rest.starts_with("//") {
            return Err(self.unsupported(
                2,
                "an expression cannot contain comments",
                "put the comment on a line of its own, after `#`",
            ));
        }
        for (symbol, token) in [
            ("==", Token::Equal),
            ("!=", Token::NotEqual),
            ("<=", Token::LessEqual),
            (">=", Token::GreaterEqual),
            ("&&", Token::And),
            ("||", Token::Or),
            (".?", Token::OptionalDot),
            (".", Token::Dot),
            (",", Token::Comma),
            ("?", Token::Question),
            (":", Token::Colon),
            ("(", Token::OpenParen),
            (")", Token::CloseParen),
            ("[", Token::OpenBracket),
            ("]", Token::CloseBracket),
            ("!", Token::Not),
            ("-", Token::Minus),
            ("+", Token::Plus),
            ("*", Token::Star),
            ("/", Token::Slash),
            ("%", Token::Percent),
            ("<", Token::Less),
            (">", Token::Greater),
        ] {
            if rest.starts_with(symbol) {
                self.at += symbol.len();
                return Ok(token);
            }
        }
        Err(match first {
            '=' => self.problem(1, "a single `=` compares nothing", "compare with `==`"),
            '&' => self.problem(1, "a single `&` is not an operator", "write `&&`"),
            '|' => self.problem(1, "a single `|` is not an operator", "write `||`"),
            '{' => self.unsupported(
                1,
                "a map cannot be written in an expression",
                "build the object in the definition file and place expressions in its values",
            ),
            '`' => self.unsupported(
                1,
                "names in backticks are not supported",
                "write `a['b']` for a name that is not a plain word",
            ),
            '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => self.problem(
                first.len_utf8(),
                "a typographic quote does not delimit a string",
                "use the straight quotes `'` or `\"`",
            ),
            _ => Problem::new(
                ProblemKind::Syntax,
                self.at..self.at + first.len_utf8(),
                format!("unexpected character `{}`", first.escape_debug()),
            ),
        })
    }

    fn word(&mut self) -> Result<Token, Problem> {
        let rest = self.rest();
        let len = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let word = &rest[..len];
        if rest[len..].starts_with(['"', '\'']) {
            match word {
                "r" | "R" => {
                    return Err(self.unsupported(
                        1,
                        "raw strings are not supported",
                        "write a plain string and double each backslash",
                    ));
                }
                "b" | "B" | "br" | "bR" | "Br" | "BR" => {
                    return Err(self.unsupported(
                        len,
                        "byte strings are not supported",
                        "write a plain string",
                    ));
                }
                _ => {}
            }
        }
        let token = match word {
            "true" => Token::True,
            "false" => Token::False,
            "null" => Token::Null,
            "in" => Token::In,
            _ => Token::Name(word.to_owned()),
        };
        self.at += len;
        Ok(token)
    }

    fn number(&mut self) -> Result<Token, Problem> {
        let rest = self.rest();
        let (len, token) = if let Some(hex) = rest.strip_prefix("0x") {
            let digits = count(hex, |b| b.is_ascii_hexdigit());
            (
                digits + 2,
                u64::from_str_radix(&hex[..digits], 16).ok().map(Token::Int),
            )
        } else {
            let digits = |from: usize| count(&rest[from..], |b| b.is_ascii_digit());
            let whole = digits(0);
            let mut len = whole;
            if rest[len..].starts_with('.') && self.digit_at(len + 1) {
                len += 1 + digits(len + 1);
            }
            if rest[len..].starts_with(['e', 'E']) {
                let sign = usize::from(rest[len + 1..].starts_with(['+', '-']));
                let exponent = digits(len + 1 + sign);
                if exponent > 0 {
                    len += 1 + sign + exponent;
                }
            }
            let token = if len == whole {
                rest[..len].parse().ok().map(Token::Int)
            } else {
                let double = rest[..len].parse().ok().filter(|d: &f64| d.is_finite());
                double.map(Token::Double)
            };
            (len, token)
        };
        let tail = count(&rest[len..], |b| b.is_ascii_alphanumeric() || b == b'_');
        if tail > 0 {
            let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
            return Err(if digits(&rest[..len + tail]) {
                let plain = rest[..len + tail].replace('_', "");
                self.problem(
                    len + tail,
                    format!("`{}` is not a number", &rest[..len + tail]),
                    &format!("digits take no `_`: write `{plain}`"),
                )
            } else if rest[len..len + tail].eq_ignore_ascii_case("u") {
                match token {
                    Some(Token::Int(digits)) if i64::try_from(digits).is_err() => {
                        self.at += len + 1;
                        return Ok(Token::Uint(digits));
                    }
                    Some(Token::Int(_)) => self.unsupported(
                        len + 1,
                        "an integer up to 9223372036854775807 takes no `u`",
                        "leave out the `u`",
                    ),
                    Some(_) => self.problem(
                        len + 1,
                        format!("`{}` is not a number", &rest[..=len]),
                        "a double takes no `u`",
                    ),
                    None => self.out_of_range(len + 1),
                }
            } else {
                self.problem(
                    len + tail,
                    format!("`{}` is not a number", &rest[..len + tail]),
                    "a name that starts with a digit is written in brackets: `a['1b']`",
                )
            });
        }
        let token = token.ok_or_else(|| self.out_of_range(len))?;
        self.at += len;
        Ok(token)
    }

    fn out_of_range(&self, len: usize) -> Problem {
        self.problem(
            len,
            format!("`{}` is out of range", &self.rest()[..len]),
            "an integer has 64 bits, a double at most 1.79e308",
        )
    }

    fn text_literal(&mut self, quote: char) -> Result<Token, Problem> {
        let start = self.at;
        let rest = self.rest();
        let triple = [quote; 3].iter().collect::<String>();
        if rest.starts_with(&triple) {
            return Err(self.unsupported(
                3,
                "triple quotes are not supported",
                "use one quote on each side and `\\n` for a new line",
            ));
        }
        let mut out = String::new();
        self.at += 1;
        loop {
            match self.peek() {
                None | Some('\n' | '\r') => {
                    let end = self.at;
                    return Err(Problem::new(
                        ProblemKind::Syntax,
                        start..end,
                        "this string is not closed",
                    )
                    .help(format!("add a `{quote}` where it ends")));
                }
                Some('\\') => out.push(self.escape()?),
                Some('$') if self.rest().starts_with("${") => {
                    return Err(Problem::template_in_string(self.at..self.at + 2));
                }
                Some(c) => {
                    self.at += c.len_utf8();
                    if c == quote {
                        return Ok(Token::Text(out));
                    }
                    out.push(c);
                }
            }
        }
    }

    /// Reads one escape, from its backslash.
    fn escape(&mut self) -> Result<char, Problem> {
        let rest = self.rest();
        let kind = rest[1..].chars().next();
        let (len, radix, skip) = match kind {
            Some('x' | 'X') => (4, 16, 2),
            Some('u') => (6, 16, 2),
            Some('U') => (10, 16, 2),
            Some('0'..='3') => (4, 8, 1),
            Some(c) => {
                let plain = match c {
                    'a' => '\x07',
                    'b' => '\x08',
                    'f' => '\x0c',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'v' => '\x0b',
                    '\\' | '\'' | '"' | '`' | '?' => c,
                    _ => {
                        return Err(self.problem(
                            1 + c.len_utf8(),
                            format!("`\\{}` is not an escape", c.escape_debug()),
                            "a backslash itself is written `\\\\`",
                        ));
                    }
                };
                self.at += 2;
                return Ok(plain);
            }
            None => (1, 16, 1),
        };
        let decoded = rest
            .get(skip..len)
            .filter(|digits| digits.bytes().all(|b| (b as char).is_digit(radix)))
            .and_then(|digits| u32::from_str_radix(digits, radix).ok())
            .and_then(char::from_u32);
        match decoded {
            Some(c) => {
                self.at += len;
                Ok(c)
            }
            None => Err(self.problem(
                1,
                "this escape is incomplete or does not name a character",
                "write `\\n`, `\\x41`, `\\u00e9` or `\\U0001f600`",
            )),
        }
    }
}

/// How many leading bytes of `text` pass `test`, which accepts ASCII only.
fn count(text: &str, test: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|b| test(*b)).count()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn kinds(text: &str) -> Vec<Token> {
        tokens(text).unwrap().into_iter().map(|t| t.token).collect()
    }

    #[test]
    fn numbers() {
        for (text, token) in [
            ("0", Token::Int(0)),
            ("9223372036854775808", Token::Int(1 << 63)),
            ("0x1F", Token::Int(31)),
            ("1.5", Token::Double(1.5)),
            (".5", Token::Double(0.5)),
            ("1e3", Token::Double(1000.0)),
            ("2.5e-1", Token::Double(0.25)),
        ] {
            assert_eq!(kinds(text), [token, Token::End], "{text}");
        }
        for text in [
            "1u",
            "1abc",
            "1e",
            "0x",
            "0xg",
            "1e400",
            "99999999999999999999",
            "1_000",
        ] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }

    #[test]
    fn strings_and_escapes() {
        for (text, value) in [
            (r"''", ""),
            (r#""it's""#, "it's"),
            (r#"'say "x"'"#, "say \"x\""),
            (r"'\a\b\f\n\r\t\v'", "\x07\x08\x0c\n\r\t\x0b"),
            (r#"'\\ \' \" \` \?'"#, "\\ ' \" ` ?"),
            (r"'\x41\X42'", "AB"),
            (r"'\u00e9\U0001f600'", "é😀"),
            (r"'\101\377'", "A\u{ff}"),
            ("'héllo'", "héllo"),
        ] {
            assert_eq!(
                kinds(text),
                [Token::Text(value.to_owned()), Token::End],
                "{text}"
            );
        }
        for text in [
            "'",
            "'a",
            "\"a'",
            "'a\n'",
            r"'\q'",
            r"'\x4'",
            r"'\xzz'",
            r"'\ud800'",
            r"'\U00110000'",
            r"'\08'",
            r"'\+41'",
            r"'\x+4'",
            r"'\",
            "'''a'''",
            r"r'a'",
            "b'a'",
            r"'\é'",
            r"'\xé9'",
        ] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }

    #[test]
    fn slips_are_explained() {
        for (text, kind, help) in [
            ("a = 1", ProblemKind::Syntax, "`==`"),
            ("a === 1", ProblemKind::Syntax, "`==`"),
            ("a !== 1", ProblemKind::Syntax, "`!=`"),
            ("a & b", ProblemKind::Syntax, "`&&`"),
            ("a | b", ProblemKind::Syntax, "`||`"),
            ("a?.b", ProblemKind::Syntax, "`.?`"),
            ("a ?? b", ProblemKind::Syntax, "orValue"),
            ("\u{201c}a\u{201d}", ProblemKind::Syntax, "straight"),
            ("{'a': 1}", ProblemKind::UnsupportedFeature, "definition"),
            ("a // b", ProblemKind::UnsupportedFeature, "`#`"),
            ("1u", ProblemKind::UnsupportedFeature, "`u`"),
            ("${ a }", ProblemKind::TemplateInExpression, "`a`"),
            ("a == '${b}'", ProblemKind::TemplateInExpression, "`+`"),
            ("${{ a }}", ProblemKind::TemplateInExpression, "write `a`"),
            ("{{ a }}", ProblemKind::TemplateInExpression, "write `a`"),
            ("a <> b", ProblemKind::Syntax, "write `!=`"),
            ("a ** 2", ProblemKind::Syntax, "no power operator"),
            ("1_000", ProblemKind::Syntax, "write `1000`"),
            ("1_a", ProblemKind::Syntax, "in brackets"),
        ] {
            let problem = tokens(text).unwrap_err();
            assert_eq!(problem.kind, kind, "{text}");
            let found = problem.help.unwrap();
            assert!(found.contains(help), "{text}: {found}");
        }
    }

    #[test]
    fn ranges_cover_the_source() {
        let ranges: Vec<_> = tokens(" a.?b >= 'é' ")
            .unwrap()
            .into_iter()
            .map(|t| t.range)
            .collect();
        assert_eq!(ranges, [1..2, 2..4, 4..5, 6..8, 9..13, 14..14]);
    }
}
