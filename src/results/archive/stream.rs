//! The entries of a tar stream, one header at a time.
//!
//! The tar crate knows the fields of a header; its own iterator holds long names and PAX records in memory whatever
//! their size, so the stream is walked here, with a cap. Owns headers, long names, PAX records and padding. Judges no path.

use std::io::{self, BufReader, Read};
use std::time::{Duration, SystemTime};

use tar::{EntryType, Header};

use super::ArchiveProblem;

/// Everything in a tar stream is a multiple of this.
const BLOCK: usize = 512;
const BUFFER: usize = 64 * 1024;
/// Bytes of one long name or PAX header. Paths end at 4 KiB and extended attributes at 64 KiB each.
const EXTENSION_LIMIT: u64 = 1024 * 1024;
/// Where a GNU sparse header says that another block of its map follows; and where such a block says it.
const SPARSE_CONTINUES: [usize; 2] = [482, 504];

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    HardLink(Vec<u8>),
    SymbolicLink(Vec<u8>),
    /// It has no place among results; the word says what it is.
    Other(&'static str),
}

/// One entry; its content is next in the stream.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) modified: Option<SystemTime>,
    pub(super) size: u64,
}

/// What headers before an entry say of it.
#[derive(Debug, Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    modified: Option<SystemTime>,
    sparse: bool,
}

pub(super) struct Stream<R> {
    reader: BufReader<R>,
    offset: u64,
    /// Of the current entry's content, and of the padding after it.
    content: u64,
    padding: u64,
    entries_left: u64,
    max_entries: u64,
}

impl<R: Read> Stream<R> {
    pub(super) fn new(reader: R, max_entries: u64) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER, reader),
            offset: 0,
            content: 0,
            padding: 0,
            entries_left: max_entries,
            max_entries,
        }
    }

    /// The next entry, or `None` at the end mark. The content of the last one must have been read or skipped.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, ArchiveProblem> {
        let mut extension = Extension::default();
        loop {
            let start = self.offset;
            let mut block = [0; BLOCK];
            self.fill(&mut block)?;
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            if self.entries_left == 0 {
                return Err(ArchiveProblem::TooManyEntries { limit: self.max_entries });
            }
            self.entries_left -= 1;
            let header = Header::from_byte_slice(&block);
            check_sum(header, &block, start)?;
            let corrupt = |reason| ArchiveProblem::Corrupt { offset: start, reason };
            let size = header.entry_size().map_err(|_| corrupt("its size is no number"))?;
            match header.entry_type() {
                EntryType::GNULongName => extension.path = Some(without_nul(self.extension(size)?)),
                EntryType::GNULongLink => extension.link = Some(without_nul(self.extension(size)?)),
                EntryType::XHeader => {
                    let records = self.extension(size)?;
                    extension.read_pax(&records).ok_or_else(|| corrupt("a PAX record is broken"))?;
                }
                EntryType::XGlobalHeader => {
                    // Comments and the like; that it could rename every entry is of no use to an honest engine.
                    self.extension(size)?;
                }
                kind => {
                    if kind == EntryType::GNUSparse {
                        self.skip_sparse_map(&block)?;
                    }
                    return Ok(Some(self.entry(header, kind, size, extension)));
                }
            }
        }
    }

    fn entry(&mut self, header: &Header, entry_type: EntryType, size: u64, extension: Extension) -> Entry {
        let path = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = || {
            let own = || header.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
            extension.link.unwrap_or_else(own)
        };
        let kind = match entry_type {
            _ if extension.sparse => Kind::Other("it is a sparse file of a kind that is not read"),
            // Before POSIX, a directory was a file whose name ends in a slash.
            EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Link => Kind::HardLink(link()),
            EntryType::Symlink => Kind::SymbolicLink(link()),
            EntryType::Char | EntryType::Block => Kind::Other("it is a device"),
            EntryType::Fifo => Kind::Other("it is a fifo"),
            EntryType::GNUSparse => Kind::Other("it is a sparse file of a kind that is not read"),
            _ => Kind::Other("it is of an unknown kind"),
        };
        // The size of these is to be ignored: old writers put the linked file's size there.
        let is_header_alone = entry_type.is_hard_link()
            || entry_type.is_symlink()
            || entry_type.is_character_special()
            || entry_type.is_block_special()
            || entry_type.is_dir()
            || entry_type.is_fifo();
        let size = if is_header_alone { 0 } else { extension.size.unwrap_or(size) };
        self.expect_content(size);
        let in_header = || {
            header
                .mtime()
                .ok()
                .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        };
        Entry {
            path,
            kind,
            mode: header.mode().unwrap_or(0),
            modified: extension.modified.or_else(in_header),
            size,
        }
    }

    fn expect_content(&mut self, size: u64) {
        self.content = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    /// The next bytes of the current entry's content; 0 at its end.
    pub(super) fn read_content(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveProblem> {
        let wanted = usize::try_from(self.content).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        loop {
            match self.reader.read(&mut buffer[..wanted]) {
                Ok(0) => return Err(ArchiveProblem::CutShort { offset: self.offset }),
                Ok(count) => {
                    self.content -= count as u64;
                    self.offset += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveProblem::Read(error)),
            }
        }
    }

    /// Reads over what is left of the current entry.
    pub(super) fn skip_content(&mut self) -> Result<(), ArchiveProblem> {
        let mut sink = [0; 8192];
        while self.read_content(&mut sink)? > 0 {}
        // Padding is content like any other to the reader.
        self.content = std::mem::take(&mut self.padding);
        while self.read_content(&mut sink)? > 0 {}
        Ok(())
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveProblem> {
        if size > EXTENSION_LIMIT {
            return Err(ArchiveProblem::HeaderTooLarge { size, limit: EXTENSION_LIMIT });
        }
        self.expect_content(size);
        let mut content = Vec::new();
        let mut part = [0; 4096];
        loop {
            let count = self.read_content(&mut part)?;
            if count == 0 {
                break;
            }
            content.extend_from_slice(&part[..count]);
        }
        self.skip_content()?;
        Ok(content)
    }

    /// The map of a GNU sparse file stands between header and content, and is counted in neither.
    fn skip_sparse_map(&mut self, header: &[u8; BLOCK]) -> Result<(), ArchiveProblem> {
        let mut continues = header[SPARSE_CONTINUES[0]] == 1;
        while continues {
            if self.entries_left == 0 {
                return Err(ArchiveProblem::TooManyEntries { limit: self.max_entries });
            }
            self.entries_left -= 1;
            let mut block = [0; BLOCK];
            self.fill(&mut block)?;
            continues = block[SPARSE_CONTINUES[1]] == 1;
        }
        Ok(())
    }

    fn fill(&mut self, block: &mut [u8; BLOCK]) -> Result<(), ArchiveProblem> {
        let mut filled = 0;
        while filled < block.len() {
            match self.reader.read(&mut block[filled..]) {
                Ok(0) => return Err(ArchiveProblem::CutShort { offset: self.offset }),
                Ok(count) => {
                    filled += count;
                    self.offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveProblem::Read(error)),
            }
        }
        Ok(())
    }
}

impl Extension {
    /// Reads `LENGTH KEY=VALUE` records. `None` where one is broken.
    fn read_pax(&mut self, records: &[u8]) -> Option<()> {
        let mut rest = records;
        while !rest.is_empty() {
            let (key, value, after) = split_record(rest)?;
            rest = after;
            let number = || std::str::from_utf8(value).ok();
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number()?.parse().ok()?),
                b"mtime" => self.modified = number().and_then(pax_time),
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
        Some(())
    }
}

/// Key and value of the first record, and the other records. The length rules: a value may hold a line end, and the tar
/// crate's own iterator would split it there.
fn split_record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(records.get(..digits)?).ok()?.parse().ok()?;
    let (record, after) = records.split_at_checked(length)?;
    let body = record.get(digits + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    Some((&body[..equals], &body[equals + 1..], after))
}

/// Seconds since 1970 with a fraction, perhaps negative.
fn pax_time(text: &str) -> Option<SystemTime> {
    let seconds: f64 = text.parse().ok()?;
    let distance = Duration::try_from_secs_f64(seconds.abs()).ok()?;
    if seconds < 0.0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.truncate(end);
    name
}

fn check_sum(header: &Header, block: &[u8; BLOCK], offset: u64) -> Result<(), ArchiveProblem> {
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(index, byte)| if (148..156).contains(&index) { u32::from(b' ') } else { u32::from(*byte) })
        .sum();
    match header.cksum() {
        Ok(declared) if declared == sum => Ok(()),
        _ => Err(ArchiveProblem::Corrupt { offset, reason: "it is no header, or a damaged one" }),
    }
}
