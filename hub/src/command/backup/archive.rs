//! The archive's bytes: a tar file, in age's format or plain.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Component, Path, PathBuf};

use age::secrecy::SecretString;
use anyhow::{Context as _, anyhow, ensure};

const AGE_MAGIC: &[u8] = b"age-encryption.org/";

/// Folders within folders: `ca/ca.pem` has one.
const DEPTH_MAX: usize = 4;

enum Output {
    Encrypted(Box<age::stream::StreamWriter<BufWriter<File>>>),
    Plain(BufWriter<File>),
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Encrypted(writer) => writer.write(bytes),
            Self::Plain(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Encrypted(writer) => writer.flush(),
            Self::Plain(writer) => writer.flush(),
        }
    }
}

/// Writes entries one after the other.
pub(super) struct ArchiveWriter(tar::Builder<Output>);

impl ArchiveWriter {
    pub(super) fn new(file: File, passphrase: Option<SecretString>) -> io::Result<Self> {
        let file = BufWriter::new(file);
        let output = match passphrase {
            None => Output::Plain(file),
            Some(passphrase) => {
                let encryptor = age::Encryptor::with_user_passphrase(passphrase);
                Output::Encrypted(Box::new(encryptor.wrap_output(file)?))
            }
        };
        Ok(Self(tar::Builder::new(output)))
    }

    pub(super) fn add(&mut self, name: &Path, content: impl Read, bytes: u64) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        // The file may grow meanwhile: what is beyond its size at the start belongs to no entry.
        self.0.append_data(&mut header, name, content.take(bytes))
    }

    pub(super) fn finish(self) -> io::Result<()> {
        let file = match self.0.into_inner()? {
            Output::Encrypted(writer) => writer.finish()?,
            Output::Plain(writer) => writer,
        };
        file.into_inner()?.sync_all()
    }
}

/// The entries of an archive.
pub(super) fn open(
    path: &Path,
    passphrase: Option<SecretString>,
) -> anyhow::Result<tar::Archive<Box<dyn Read>>> {
    let place = path.display();
    let read = || format!("cannot read {place}");
    let mut file = File::open(path).with_context(read)?;
    let mut begin = Vec::new();
    (&file)
        .take(AGE_MAGIC.len() as u64)
        .read_to_end(&mut begin)
        .with_context(read)?;
    file.rewind().with_context(read)?;
    let file = BufReader::new(file);
    let input: Box<dyn Read> = match (begin == AGE_MAGIC, passphrase) {
        (false, _) => Box::new(file),
        (true, None) => {
            return Err(anyhow!(
                "{place} is encrypted; name the file with its passphrase with --passphrase-file"
            ));
        }
        (true, Some(passphrase)) => {
            let decryptor = age::Decryptor::new_buffered(file)
                .map_err(|error| anyhow!("cannot read {place}: {error}"))?;
            let identity = age::scrypt::Identity::new(passphrase);
            let decrypted = decryptor
                .decrypt(std::iter::once(&identity as &dyn age::Identity))
                .map_err(|error| {
                    anyhow!("cannot decrypt {place}: {error}; is it the right passphrase?")
                })?;
            Box::new(decrypted)
        }
    };
    Ok(tar::Archive::new(input))
}

/// The path of an entry, which must stay within the directory that it is unpacked to.
pub(super) fn safe_path(entry: &tar::Entry<'_, impl Read>) -> anyhow::Result<PathBuf> {
    let path = entry.path()?.into_owned();
    let is_normal = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    ensure!(
        is_normal
            && path.components().count() <= DEPTH_MAX
            && entry.header().entry_type().is_file(),
        "the archive contains {path:?}, which no backup of sysmon-hub does"
    );
    Ok(path)
}
