//! How large a database is to be: `1GiB`, `200MiB`.

pub fn megabytes_of(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}`: a size is `1GiB` or `200MiB`");
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match unit {
        "MiB" => Ok(number),
        "GiB" => number.checked_mul(1024).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::megabytes_of;

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!((megabytes_of("1GiB"), megabytes_of("200MiB")), (Ok(1024), Ok(200)));
        for wrong in ["", "200", "MiB", "1 GiB", "1GB", "18446744073709551615GiB"] {
            assert!(megabytes_of(wrong).is_err(), "{wrong}");
        }
    }
}
