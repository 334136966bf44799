//! `imis completions` and `imis man`: made of the same description as the arguments.

use clap::CommandFactory;

use crate::args::{Args, Completions, Man};
use crate::exit::{DONE, Failure};
use crate::show;

pub(crate) fn completions(args: &Completions) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "imis", &mut text);
    show::print(&String::from_utf8_lossy(&text))?;
    Ok(DONE)
}

pub(crate) fn man(args: &Man) -> Result<u8, Failure> {
    match &args.output {
        None => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Args::command()).render(&mut text)?;
            show::print(&String::from_utf8_lossy(&text))?;
        }
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(Args::command(), folder))
                .map_err(|e| Failure::failed(format!("{} cannot be written: {e}", folder.display())))?;
        }
    }
    Ok(DONE)
}
