//! What the machine has: room for data, programs, libraries.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use offhook_config::Settings;

use super::Finding;

/// Free space below which calls are soon no longer recorded, in bytes: a minute of a stereo
/// recording at 16 kHz takes 3.8 MB.
const SPACE_MIN: u64 = 100 * 1024 * 1024;

/// Free space below which an operator wants to know, in bytes: some hours of recordings.
const SPACE_LOW: u64 = 2 * 1024 * 1024 * 1024;

/// Where the dynamic linker looks, besides `LD_LIBRARY_PATH`.
const LIBRARY_FOLDERS: &[&str] = &["/usr/local/lib", "/usr/lib", "/lib", "/usr/lib64", "/lib64"];

/// The data folder, and the room in it.
pub fn store(settings: &Settings) -> Vec<Finding> {
    let path = &settings.store.path;
    let advice = "choose a folder of the server's user with store.path";
    // A folder that is not there is made at the first start, in the nearest one that is.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let Some(existing) = absolute.ancestors().find(|path| path.exists()) else {
        return vec![Finding::problem("store folder", "no such disk", advice)];
    };
    let mut findings = vec![match probe(existing) {
        Err(error) => {
            let found = format!("{} is not writable: {error}", existing.display());
            Finding::problem("store folder", found, advice)
        }
        Ok(()) if existing == absolute => {
            Finding::ok("store folder", absolute.display().to_string())
        }
        Ok(()) => {
            let found = format!("{}, made at the first start", absolute.display());
            Finding::ok("store folder", found)
        }
    }];
    if let Ok(disk) = rustix::fs::statvfs(existing) {
        findings.push(space(disk.f_bavail.saturating_mul(disk.f_frsize)));
    }
    findings
}

/// Writes a file and removes it.
fn probe(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".offhook-doctor-{}", std::process::id()));
    fs::File::create_new(&path)?;
    fs::remove_file(&path)
}

fn space(free: u64) -> Finding {
    let found = format!("{:.1} GB free", free as f64 / 1e9);
    let advice = "make room, or move store.path to a larger disk; recordings take 3.8 MB a minute";
    match free {
        0..SPACE_MIN => Finding::problem("disk space", found, advice),
        SPACE_MIN..SPACE_LOW => Finding::warning("disk space", found, advice),
        SPACE_LOW.. => Finding::ok("disk space", found),
    }
}

/// Where the local providers look for what they run.
struct Needs<'a> {
    flite: &'a Path,
    espeak: &'a Path,
    pocketsphinx: &'a Path,
    model: &'a Path,
}

/// What the local providers need.
pub fn programs() -> Vec<Finding> {
    check(&Needs {
        flite: Path::new("libflite.so.1"),
        espeak: Path::new("espeak-ng"),
        pocketsphinx: Path::new("libpocketsphinx.so.3"),
        model: Path::new("/usr/share/pocketsphinx/model/en-us"),
    })
}

fn check(needs: &Needs) -> Vec<Finding> {
    let libraries = library_folders();
    let found = [
        ("voice `local`", find(needs.flite, &libraries), needs.flite, "flite"),
        ("voice `local`, espeak", find(needs.espeak, &path_folders()), needs.espeak, "espeak-ng"),
        (
            "transcriber `local`",
            find(needs.pocketsphinx, &libraries),
            needs.pocketsphinx,
            "pocketsphinx",
        ),
        (
            "its model",
            Some(needs.model.to_owned()).filter(|model| is_model(model)),
            needs.model,
            "pocketsphinx-en-us",
        ),
    ];
    found
        .into_iter()
        .map(|(subject, found, what, package)| match found {
            Some(path) => Finding::ok(subject, path.display().to_string()),
            None => Finding::warning(
                subject,
                format!("{} is not here, calls that use it fail", what.display()),
                format!("apt-get install {package}"),
            ),
        })
        .collect()
}

/// A recogniser's model is a folder with an acoustic model and a dictionary in it.
fn is_model(folder: &Path) -> bool {
    folder.join("en-us/mdef").is_file() && folder.join("cmudict-en-us.dict").is_file()
}

/// A file by its path, or by its name in one of the folders.
fn find(file: &Path, folders: &[PathBuf]) -> Option<PathBuf> {
    if file.components().count() > 1 {
        return file.is_file().then(|| file.to_owned());
    }
    folders.iter().map(|folder| folder.join(file)).find(|path| path.is_file())
}

fn path_folders() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

/// Debian has a folder for each architecture below the usual ones.
fn library_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os("LD_LIBRARY_PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default();
    for folder in LIBRARY_FOLDERS {
        folders.push(folder.into());
        folders.push(Path::new(folder).join(format!("{}-linux-gnu", env::consts::ARCH)));
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    #[test]
    fn a_folder_that_can_be_made_is_in_order_and_stays_unmade() {
        let parent = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.store.path = parent.path().join("new/data");
        let findings = store(&settings);
        assert_eq!(findings[0].state, State::Ok, "{findings:?}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        assert_eq!(findings[1].subject, "disk space");
    }

    #[test]
    fn a_store_path_below_a_file_is_a_problem() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut settings = Settings::default();
        settings.store.path = file.path().join("data");
        assert_eq!(store(&settings)[0].state, State::Problem);
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_a_warning_and_a_full_one_a_problem() {
        assert_eq!(space(0).state, State::Problem);
        assert_eq!(space(SPACE_MIN).state, State::Warning);
        assert_eq!(space(SPACE_LOW).state, State::Ok);
    }

    #[test]
    fn missing_programs_are_named_with_their_packages() {
        let findings = check(&Needs {
            flite: Path::new("libnone.so"),
            espeak: Path::new("/none/espeak-ng"),
            pocketsphinx: Path::new("libnone.so"),
            model: Path::new("/none"),
        });
        let advice = |index: usize| findings[index].advice.clone().unwrap_or_default();
        assert!(advice(0).contains("apt-get install flite"));
        assert!(advice(2).ends_with("apt-get install pocketsphinx"));
        assert!(advice(3).contains("apt-get install pocketsphinx-en-us"));
    }
}
