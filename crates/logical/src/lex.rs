//! Text to tokens.

use crate::constant::{Constant, Format};
use crate::error::Error;
use crate::token::{Op, Token};
use kiln_types::EthAddr;
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest number that is looked at; longer ones cannot be of 128 bits.
const MAX_NUMBER_LEN: usize = 128;

/// Length of an Ethernet address.
const ETHERNET_LEN: usize = "00:00:00:00:00:00".len();

/// Cuts a text into tokens, which borrow from it.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    pos: usize,
}

fn is_id_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.'
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Lexer { text, pos: 0 }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes().get(self.pos + ahead).copied().unwrap_or(0)
    }

    /// The next token and the column where it starts.
    pub fn next_token(&mut self) -> Result<(Token<'a>, usize), Error> {
        self.skip_blanks()?;
        let start = self.pos;
        let column = start + 1;
        let Some(&byte) = self.bytes().get(start) else { return Ok((Token::End, column)) };
        let token = match byte {
            b'"' => Token::Str(self.string()?),
            b'$' => Token::AddressSet(self.sigil('$')?),
            b'@' => Token::PortGroup(self.sigil('@')?),
            b'^' => Token::Template(self.sigil('^')?),
            _ if self.at_number(byte) => Token::Int(self.number()?),
            _ if is_id_start(byte) => Token::Id(self.id()),
            _ => Token::Op(self.op(byte)?),
        };
        Ok((token, column))
    }

    /// Skips white space, `// …` up to the end of the line and `/* … */`.
    fn skip_blanks(&mut self) -> Result<(), Error> {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' => self.pos += 1,
                b'/' => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), Error> {
        let rest = &self.bytes()[self.pos..];
        match self.peek(1) {
            b'/' => self.pos += memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
            b'*' => match memchr::memmem::find(&rest[2..], b"*/") {
                Some(len) => self.pos += len + 4,
                None => {
                    return Err(Error::new(
                        self.pos + 1,
                        "expected `*/' after `/*', found the end of the text",
                    ));
                }
            },
            _ => return Err(Error::new(self.pos + 1, "`/' is only valid as part of `//' or `/*'")),
        }
        Ok(())
    }

    fn id(&mut self) -> &'a str {
        let rest = &self.bytes()[self.pos..];
        let len = rest.iter().position(|&b| !is_id(b)).unwrap_or(rest.len());
        let id = &self.text[self.pos..self.pos + len];
        self.pos += len;
        id
    }

    fn sigil(&mut self, sigil: char) -> Result<&'a str, Error> {
        self.pos += 1;
        if is_id_start(self.peek(0)) {
            Ok(self.id())
        } else {
            Err(Error::new(self.pos, format!("expected a name after `{sigil}'")))
        }
    }

    /// Whether a number starts here: a digit, or hexadecimal digits up to a colon, or `::`.
    fn at_number(&self, byte: u8) -> bool {
        if byte.is_ascii_digit() {
            return true;
        }
        if byte == b':' {
            return self.peek(1) == b':';
        }
        byte.is_ascii_hexdigit() && {
            let rest = &self.bytes()[self.pos..];
            let digits = rest.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(rest.len());
            rest.get(digits) == Some(&b':')
        }
    }

    fn op(&mut self, byte: u8) -> Result<Op, Error> {
        let (op, len) = match (byte, self.peek(1), self.peek(2)) {
            (b'(', ..) => (Op::LParen, 1),
            (b')', ..) => (Op::RParen, 1),
            (b'{', ..) => (Op::LBrace, 1),
            (b'}', ..) => (Op::RBrace, 1),
            (b'[', ..) => (Op::LSquare, 1),
            (b']', ..) => (Op::RSquare, 1),
            (b'=', b'=', _) => (Op::Eq, 2),
            (b'=', ..) => (Op::Assign, 1),
            (b'!', b'=', _) => (Op::Ne, 2),
            (b'!', ..) => (Op::Not, 1),
            (b'<', b'-', b'>') => (Op::Exchange, 3),
            (b'<', b'=', _) => (Op::Le, 2),
            (b'<', ..) => (Op::Lt, 1),
            (b'>', b'=', _) => (Op::Ge, 2),
            (b'>', ..) => (Op::Gt, 1),
            (b'&', b'&', _) => (Op::And, 2),
            (b'|', b'|', _) => (Op::Or, 2),
            (b'.', b'.', _) => (Op::Ellipsis, 2),
            (b',', ..) => (Op::Comma, 1),
            (b';', ..) => (Op::Semicolon, 1),
            (b':', ..) => (Op::Colon, 1),
            (b'-', b'-', _) => (Op::Decrement, 2),
            (b'-', ..) => (Op::Hyphen, 1),
            (b'+', b'+', _) => (Op::Increment, 2),
            (b'+', ..) => return Err(Error::new(self.pos + 1, "`+' is only valid as part of `++'")),
            (b'&', ..) => return Err(Error::new(self.pos + 1, "`&' is only valid as part of `&&'")),
            (b'|', ..) => return Err(Error::new(self.pos + 1, "`|' is only valid as part of `||'")),
            (b'.', ..) => {
                return Err(Error::new(self.pos + 1, "`.' is only valid as part of `..' or a number"));
            }
            _ => return Err(Error::new(self.pos + 1, format!("invalid byte {byte:#04x} in the text"))),
        };
        self.pos += len;
        Ok(op)
    }

    /// A quoted string with JSON's escapes.
    fn string(&mut self) -> Result<Cow<'a, str>, Error> {
        let start = self.pos + 1;
        let rest = &self.bytes()[start..];
        let plain = end_of_plain(rest, start)?;
        if rest[plain] == b'"' {
            self.pos = start + plain + 1;
            return Ok(Cow::Borrowed(&self.text[start..start + plain]));
        }
        let mut text = self.text[start..start + plain].to_owned();
        self.pos = start + plain;
        loop {
            let rest = &self.bytes()[self.pos..];
            let plain = end_of_plain(rest, start)?;
            text.push_str(&self.text[self.pos..self.pos + plain]);
            self.pos += plain + 1;
            if rest[plain] == b'"' {
                return Ok(Cow::Owned(text));
            }
            text.push(self.escape()?);
        }
    }

    /// The character after a backslash.
    fn escape(&mut self) -> Result<char, Error> {
        let byte = self.peek(0);
        self.pos += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex4()?;
                let code =
                    if (0xd800..0xdc00).contains(&high) && self.peek(0) == b'\\' && self.peek(1) == b'u' {
                        self.pos += 2;
                        let low = self.hex4()?;
                        0x1_0000 + ((high - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff)
                    } else {
                        high
                    };
                match char::from_u32(code) {
                    Some(c) if c != '\0' => c,
                    _ => {
                        return Err(Error::new(
                            self.pos,
                            "expected a character after `\\u', found none of that number",
                        ));
                    }
                }
            }
            _ => {
                return Err(Error::new(
                    self.pos,
                    "expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX in a string",
                ));
            }
        })
    }

    fn hex4(&mut self) -> Result<u32, Error> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = (self.peek(0) as char).to_digit(16);
            let Some(digit) = digit else {
                return Err(Error::new(self.pos + 1, "expected four hexadecimal digits after `\\u'"));
            };
            code = code << 4 | digit;
            self.pos += 1;
        }
        Ok(code)
    }

    /// The text of a number. It ends before `..`, and before the colon that follows an IPv4 address.
    fn number_text(&mut self) -> &'a str {
        let start = self.pos;
        let (mut dot, mut colon) = (false, false);
        loop {
            match self.peek(0) {
                b'.' if self.peek(1) != b'.' => dot |= !colon,
                b':' if !dot => colon = true,
                byte if byte.is_ascii_alphanumeric() => {}
                _ => return &self.text[start..self.pos],
            }
            self.pos += 1;
        }
    }

    fn number(&mut self) -> Result<Constant, Error> {
        let column = self.pos + 1;
        let (value, format) = parse_number(self.number_text(), column)?;
        if self.peek(0) != b'/' || matches!(self.peek(1), b'/' | b'*') {
            return Ok(Constant { value, mask: None, format });
        }
        self.pos += 1;
        let column = self.pos + 1;
        if !self.at_number(self.peek(0)) {
            return Err(Error::new(column, "expected an integer as the mask after `/'"));
        }
        let (mask, mask_format) = parse_number(self.number_text(), column)?;
        let (mask, format) = match (format, mask_format) {
            (Format::Ipv4, Format::Decimal) if mask <= 32 => {
                (u128::from(u32::MAX.checked_shl(32 - mask as u32).unwrap_or(0)), format)
            }
            (Format::Ipv6, Format::Decimal) if mask <= 128 => {
                (u128::MAX.checked_shl(128 - mask as u32).unwrap_or(0), format)
            }
            _ if format == mask_format => (mask, format),
            // A hexadecimal zero is printed as a bare 0.
            (Format::Decimal, Format::Hexadecimal) if value == 0 => (mask, mask_format),
            (Format::Hexadecimal, Format::Decimal) if mask == 0 => (mask, format),
            _ => return Err(Error::new(column, "value and mask have incompatible formats")),
        };
        Ok(Constant { value: value & mask, mask: Some(mask), format })
    }
}

fn parse_number(text: &str, column: usize) -> Result<(u128, Format), Error> {
    let invalid = || Error::new(column, "invalid numeric constant");
    if text.len() > MAX_NUMBER_LEN {
        return Err(invalid());
    }
    let bytes = text.as_bytes();
    if bytes.contains(&b':') {
        // Two digits a byte: with fewer, it would be half an IPv6 address.
        if let Some(mac) = text.parse::<EthAddr>().ok().filter(|_| text.len() == ETHERNET_LEN) {
            return Ok((u128::from(mac.to_u64()), Format::Ethernet));
        }
        let ip = text.parse::<Ipv6Addr>().map_err(|_| invalid())?;
        return Ok((ip.to_bits(), Format::Ipv6));
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let digits = if digits.is_empty() {
            return Err(Error::new(column, "expected hexadecimal digits after `0x'"));
        } else {
            digits.trim_start_matches('0')
        };
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::new(column, "invalid syntax in a hexadecimal constant"));
        }
        if digits.is_empty() {
            return Ok((0, Format::Hexadecimal));
        }
        let too_wide = || Error::new(column, "expected a hexadecimal constant of at most 128 bits");
        return u128::from_str_radix(digits, 16)
            .map_or_else(|_| Err(too_wide()), |v| Ok((v, Format::Hexadecimal)));
    }
    if bytes.contains(&b'.') {
        let ip = text.parse::<Ipv4Addr>().map_err(|_| invalid())?;
        return Ok((u128::from(ip.to_bits()), Format::Ipv4));
    }
    if bytes[0] == b'0' && bytes.len() > 1 {
        return Err(Error::new(column, "decimal constants must not have leading zeros"));
    }
    if !bytes.iter().all(u8::is_ascii_digit) {
        return Err(invalid());
    }
    match text.parse() {
        Ok(value) => Ok((value, Format::Decimal)),
        Err(_) => Err(Error::new(column, "expected a decimal constant of at most 128 bits")),
    }
}

/// Where a string's plain text ends: at a quote or a backslash. A NUL character stands in no string, written out or not.
fn end_of_plain(rest: &[u8], start: usize) -> Result<usize, Error> {
    let found = match memchr::memchr3(b'"', b'\\', b'\0', rest) {
        Some(at) if rest[at] != b'\0' => return Ok(at),
        Some(_) => "expected `\"' at the end of the string, found a NUL character",
        None => "expected `\"' at the end of the string, found the end of the text",
    };
    Err(Error::new(start, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &str) -> String {
        let mut lexer = Lexer::new(text);
        let mut out = Vec::new();
        loop {
            match lexer.next_token() {
                Ok((Token::End, _)) => return out.join(" "),
                Ok((token, _)) => out.push(token.to_string()),
                Err(error) => {
                    out.push(format!("error({error})"));
                    return out.join(" ");
                }
            }
        }
    }

    /// Each line is `input => tokens`, or an input that is its own tokens.
    #[test]
    fn tokens_print_in_their_canonical_form() {
        let cases = r#"
            foo bar baz quuxquuxquux _abcd_ a.b.c.d a123_.456
            "abc\u0020def" => "abc def"
            "\ud83d\ude00\n" => "😀\n"
            $foo $_abcd_ $a.b.c.d @pg ^vip
            a/*b*/c => a c
            a//b c => a
            a/*/**/b => a b
            0 1 12345 18446744073709551615 340282366920938463463374607431768211455
            1/0 => 0/0
            128/384
            0x01234 => 0x1234
            0x000 => 0
            0XFEDCBA9876543210 => 0xfedcba9876543210
            0x0000fedcba9876543210fedcba9876543210 => 0xfedcba9876543210fedcba9876543210
            0x1/0x0 => 0/0
            192.168.128.1 255.255.255.255
            192.168.0.0/255.255.0.0 => 192.168.0.0/16
            192.168.0.0/255.255.0.255
            192.168.0.0/255.0.0.0 => 192.0.0.0/8
            192.168.0.2/24 => 192.168.0.0/24
            1.2.3.4/0 => 0.0.0.0/0
            1.2.3.4:5 => 1.2.3.4 : 5
            5..6 => 5 .. 6
            ::
            2001:0db8:85a3:0:0:8a2e:370:7334 => 2001:db8:85a3::8a2e:370:7334
            ::ffff:c000:0280 => ::ffff:192.0.2.128
            ::1/::1
            ff00::/ff00:: => ff00::/8
            01:23:45:67:AB:CD => 01:23:45:67:ab:cd
            ff:ff:ff:ff:ff:ff/fe:ff:ff:ff:ff:ff => fe:ff:ff:ff:ff:ff/fe:ff:ff:ff:ff:ff
            (){}[]==!=<<=>>=!&&||..,;=<->--++:- => ( ) { } [ ] == != < <= > >= ! && || .. , ; = <-> -- ++ : -
            [::1]:80 => [ ::1 ] : 80
        "#;
        for case in cases.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (input, expected) = case.split_once(" => ").unwrap_or((case, case));
            assert_eq!(lex(input), expected, "{input}");
        }
    }

    #[test]
    fn errors_name_the_column() {
        for (input, column, part) in [
            ("a \"", 3, "end of the string"),
            ("\"b\0c\"", 1, "NUL"),
            ("\"\\n\0\"", 1, "NUL"),
            ("$1", 1, "name after `$'"),
            ("a /* b", 3, "`*/'"),
            ("a/b", 2, "only valid"),
            ("340282366920938463463374607431768211456", 1, "128 bits"),
            ("0:0:0:0:0:1", 1, "invalid numeric"),
            ("01", 1, "leading zeros"),
            ("1/", 3, "mask"),
            ("1/0x123", 3, "incompatible"),
            ("0x", 1, "digits"),
            ("0x.", 1, "hexadecimal"),
            ("256.1.2.3", 1, "invalid numeric"),
            ("fe:x", 1, "invalid numeric"),
            ("1.2.3.4/33", 9, "incompatible"),
            ("a & b", 3, "&&"),
            ("a \u{7}", 3, "invalid byte"),
            ("0x1fedcba9876543210fedcba9876543210", 1, "128 bits"),
        ] {
            let mut lexer = Lexer::new(input);
            let error = loop {
                match lexer.next_token() {
                    Ok((Token::End, _)) => panic!("{input} was taken"),
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(error.column, column, "{input}: {error}");
            assert!(error.message.contains(part), "{input}: {error}");
        }
    }
}
