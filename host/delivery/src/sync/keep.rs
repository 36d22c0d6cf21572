//! Keeps the extracts of deliveries in the register, and recovers the register after a run that was killed or a ledger
//! that was lost.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use crate::config::Store;
use crate::error::Error;
use crate::fs::digest;
use crate::keyed_hash::ExtractKey;
use crate::ledger::{KeptFile, Ledger, Record};
use crate::register::{FileHeader, Register, open_file};
use crate::stop::Stop;

/// Keeps the extract of a delivery that is accepted. When this returns, the extract is on the disk and the ledger has its
/// row: the delivery is applied, whatever happens afterwards.
pub(super) fn keep(
    store: &Store,
    ledger: &mut Ledger,
    record: &Record,
    header: &FileHeader,
    extract: &Path,
    stop: &Stop,
    now: Timestamp,
) -> Result<(), Error> {
    let register = Register::of(&store.state);
    let known = ledger.kept_extract(record.id)?;
    let is_kept = known.is_some_and(|known| {
        known.sha256 == header.sha256
            && known.production_date == header.production_date
            && known.is_unrestricted == header.is_unrestricted
            && register.path(&known).is_file()
    });
    if is_kept {
        return Ok(());
    }
    let file = File::open(extract).map_err(Error::file(extract))?;
    let kept = register.store(&record.agreement, header, file, || stop.check())?;
    crate::failpoint::reached("kept");
    ledger.keep(record, header, &kept, now)?;
    crate::failpoint::reached("committed");
    Ok(())
}

/// Adds files of the register to a ledger that does not know them, and then removes the files that belong to no
/// delivery.
pub(super) fn recover(store: &Store, ledger: &mut Ledger, now: Timestamp) -> Result<(), Error> {
    let register = Register::of(&store.state);
    let missing = ledger.missing_in_register()?;
    let agreements: BTreeSet<&str> = missing
        .iter()
        .map(|record| record.agreement.as_str())
        .collect();
    for agreement in agreements {
        let key = ExtractKey::open(&store.state)?;
        for (path, header) in register.files(agreement)? {
            let mut own = missing.iter().filter(|one| one.agreement == agreement);
            let record = own.find(|record| {
                !header.is_base
                    && record.transfer_uuid == header.name
                    && key.is_same(&header.sha256, &record.counts.sha256)
            });
            match record {
                Some(record) => ledger.keep(record, &header, &describe(&path, &header)?, now)?,
                None if header.is_base => {
                    ledger.keep_base(agreement, &header, &describe(&path, &header)?, now)?;
                }
                None => {}
            }
        }
    }
    register.remove_unknown(&ledger.kept_extracts()?)
}

/// Reads a file of the register to its end, and returns what the ledger stores of it.
fn describe(path: &Path, header: &FileHeader) -> Result<KeptFile, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    let file_size = file.metadata().map_err(Error::file(path))?.len();
    let file_sha256 = digest(file).map_err(Error::file(path))?;
    let size = open_file(path).and_then(|mut extract| io::copy(&mut extract, &mut io::sink()));
    Ok(KeptFile {
        file: header.file_name(),
        file_size,
        file_sha256,
        size: size.map_err(Error::file(path))?,
    })
}
