//! The command line; everything is in `upgraded::cli`.

fn main() -> std::process::ExitCode {
    upgraded::cli::main()
}
