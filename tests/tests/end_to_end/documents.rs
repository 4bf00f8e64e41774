//! The deployments' files that the documents show are files that the product takes.

use std::fs;
use std::process::Command;
use upgraded_tests::Machine;

const DOCUMENTS: [(&str, &str); 2] =
    [("README.md", include_str!("../../../README.md")), ("OPERATING.md", include_str!("../../../docs/OPERATING.md"))];

#[test]
fn a_deployments_file_in_a_document_has_no_mistakes() {
    let machine = Machine::new("notes");
    for (document, text) in DOCUMENTS {
        let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let files: Vec<&str> = blocks.filter(|block| block.contains("product = ")).collect();
        assert_eq!(files.len(), 1, "{document} shows one file");
        let file = machine.path("deployments").join("shop.toml");
        fs::write(&file, files[0]).expect("the file");
        let mut check = Command::new(&machine.programs.upgradectl);
        check.arg("--config").arg(machine.settings_file()).arg("check").arg(&file);
        let output = check.output().expect("`upgradectl` starts");
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{document}: {told}");
    }
}
