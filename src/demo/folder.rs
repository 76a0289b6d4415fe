//! Where the demo puts what it makes.

use std::{
    fs::{self, File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// The demo's folder, which nobody else uses while it is open.
pub struct Folder {
    path: PathBuf,
    /// Locked for as long as it is open, and proof that the data beside it is a demo's.
    _marker: File,
}

/// Name of the file that marks a folder as a demo's.
const MARKER: &str = ".offhook-demo";

impl Folder {
    /// Opens the folder and, unless it is to be kept, clears the data of the demo before.
    pub fn open(path: &Path, keep: bool) -> Result<Self, String> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            format!("cannot {what} {}: {error}; choose another folder with --out", path.display())
        };
        fs::create_dir_all(path).map_err(|error| failed("make the folder", &error))?;
        let path = path.canonicalize().map_err(|error| failed("open the folder", &error))?;
        let data = path.join("data");
        let marker = path.join(MARKER);
        if data.exists() && !marker.exists() {
            let whose = "it has a folder `data` that no demo made";
            return Err(failed("use the folder", &whose));
        }
        let marker = File::options()
            .create(true)
            .append(true)
            .open(&marker)
            .map_err(|error| failed("write to the folder", &error))?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(failed("use the folder", &"another `offhook demo` is using it"));
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock the folder", &error)),
        }
        if !keep {
            match fs::remove_dir_all(&data) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed("clear the data in", &error)),
            }
        }
        Ok(Self { path, _marker: marker })
    }

    /// The server's data folder.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file as a person here would name it: from where they are, if it lies below.
    pub fn shown(&self, name: &str) -> String {
        let path = self.file(name);
        let here = std::env::current_dir().unwrap_or_default();
        path.strip_prefix(here).unwrap_or(&path).display().to_string()
    }

    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let path = self.file(name);
        fs::write(&path, content)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_cleared_unless_it_is_kept_and_only_if_a_demo_made_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let folder = Folder::open(&path, false).unwrap();
        fs::create_dir(folder.data()).unwrap();
        let error = Folder::open(&path, false).err().unwrap();
        assert!(error.contains("another `offhook demo` is using it"), "{error}");
        drop(folder);
        assert!(Folder::open(&path, true).unwrap().data().exists());
        assert!(!Folder::open(&path, false).unwrap().data().exists());

        fs::create_dir(parent.path().join("data")).unwrap();
        let error = Folder::open(parent.path(), false).err().unwrap();
        assert!(error.contains("no demo made") && error.contains("--out"), "{error}");
        assert!(parent.path().join("data").exists());
    }
}
