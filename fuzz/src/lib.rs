//! What the fuzz targets share: a bound on memory, and what each starts from.

pub mod memory;
pub mod seeds;

/// Called once before the first input: writes a target's seeds and words to the folders that the environment names.
///
/// `KILN_FUZZ_SEEDS` is a folder for inputs, `KILN_FUZZ_WORDS` a file for libFuzzer's `-dict`; both are left alone if unset.
pub fn start(inputs: Vec<Vec<u8>>, words: &[&str]) {
    if let Some(folder) = std::env::var_os("KILN_FUZZ_SEEDS") {
        for (number, input) in inputs.iter().enumerate() {
            let path = std::path::Path::new(&folder).join(format!("seed{number:04}"));
            std::fs::write(path, input).expect("the folder for seeds can be written to");
        }
    }
    if let Some(file) = std::env::var_os("KILN_FUZZ_WORDS") {
        let hex = |word: &&str| word.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let lines: String = words.iter().map(|word| format!("\"{}\"\n", hex(word))).collect();
        std::fs::write(file, lines).expect("the file for words can be written to");
    }
}
