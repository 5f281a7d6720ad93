//! The folder of what this program writes for its user alone: the log, and reports of crashes.

use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::settings::Variables;

/// Where the folder is by the conventions of the platform; nothing where the environment names no home.
pub(crate) fn usual_place(variables: Variables<'_>) -> Option<PathBuf> {
    let parent = if cfg!(windows) {
        variables.path("LOCALAPPDATA")?
    } else if cfg!(target_vendor = "apple") {
        variables.path("HOME")?.join("Library/Logs")
    } else {
        // A relative one is to be ignored, says the XDG base directory specification.
        variables
            .path("XDG_STATE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| Some(variables.path("HOME")?.join(".local/state")))?
    };
    Some(parent.join(env!("CARGO_PKG_NAME")))
}

/// A folder that is this user's, and closed to everybody else.
#[derive(Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    /// The folder at a place, made if there is none, and closed to others if it was open.
    ///
    /// # Errors
    ///
    /// When it cannot be made, is no folder, is a symbolic link, or is another user's.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            builder.mode(PRIVATE_FOLDER);
        }
        // A link, or a file in its place, is found below; who may not look at the parents is told so by that.
        match builder.create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => close_folder(path)?,
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    pub(crate) fn at(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.path.join(name.as_ref())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file to append to, made if there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, is no ordinary file, or is another user's.
    pub(crate) fn append(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OpenOptions::new().append(true).create(true))
    }

    /// Makes a file that was not there.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or there is one.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OpenOptions::new().write(true).create_new(true))
    }

    fn open_file(&self, name: &str, options: &mut OpenOptions) -> io::Result<File> {
        // Whoever could write to the folder before it was closed may have put a link or a pipe there.
        let file = private(options, Links::Refused).open(self.at(name))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no ordinary file"));
        }
        check_owner(&metadata)?;
        close_file(&file)?;
        Ok(file)
    }
}

/// Opens a file that the user named to append to, closed to others if it is an ordinary one. A pipe that nobody reads is
/// an error, and no wait.
///
/// # Errors
///
/// When it cannot be opened, or is not this user's to close.
pub(crate) fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    let file = private(&mut options, Links::Followed).open(path)?;
    close_file(&file)?;
    Ok(file)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    Followed,
    Refused,
}

/// For a file that others cannot read, opened without waiting for anybody.
#[cfg(unix)]
fn private(options: &mut OpenOptions, links: Links) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;

    let flags = match links {
        Links::Followed => OFlags::NONBLOCK,
        Links::Refused => OFlags::NONBLOCK | OFlags::NOFOLLOW,
    };
    options
        .mode(PRIVATE_FILE)
        .custom_flags(flags.bits().cast_signed())
}

/// Windows gives what is below a user's own folder that user's permissions, and has no pipes among files.
#[cfg(not(unix))]
fn private(options: &mut OpenOptions, _: Links) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn close_file(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.permissions().mode() & OTHERS != 0 {
        file.set_permissions(fs::Permissions::from_mode(PRIVATE_FILE))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn close_file(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn close_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Err(io::Error::other(format!("{} is no folder", path.display())));
    }
    check_owner(&metadata)?;
    if metadata.permissions().mode() & OTHERS != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE_FOLDER))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn close_folder(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    Err(io::Error::other(format!("{} is no folder", path.display())))
}

#[cfg(unix)]
fn check_owner(metadata: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    if metadata.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "it belongs to another user",
    ))
}

#[cfg(not(unix))]
fn check_owner(_: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
const PRIVATE_FOLDER: u32 = 0o700;
#[cfg(unix)]
const PRIVATE_FILE: u32 = 0o600;
/// What anybody but the owner may do.
#[cfg(unix)]
const OTHERS: u32 = 0o077;

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn open_to_all(path: &Path) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }

    #[cfg(not(target_vendor = "apple"))]
    #[test]
    fn the_folder_is_where_the_environment_says() {
        let place = |set: &[(&str, &str)]| {
            let look_up = |name: &str| {
                let (_, value) = set.iter().find(|(set, _)| *set == name)?;
                Some(value.into())
            };
            usual_place(Variables::new(&look_up))
        };
        let folder = |parent: &str| Some(PathBuf::from(parent).join("session-manager-plugin"));
        assert_eq!(place(&[("HOME", "/h")]), folder("/h/.local/state"));
        let both = [("HOME", "/h"), ("XDG_STATE_HOME", "/x")];
        assert_eq!(place(&both), folder("/x"));
        let relative = [("HOME", "/h"), ("XDG_STATE_HOME", "x")];
        assert_eq!(place(&relative), folder("/h/.local/state"));
        assert_eq!(place(&[]), None);
    }

    #[test]
    fn a_new_folder_and_its_files_are_closed_to_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/ours");
        let folder = StateFolder::open(&path).unwrap();
        folder.append("log").unwrap();
        folder.create("report").unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&folder.at("log")), 0o600);
        assert_eq!(mode(&folder.at("report")), 0o600);
    }

    #[test]
    fn what_was_open_to_others_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        fs::write(&log, "old\n").unwrap();
        open_to_all(&log);
        open_to_all(directory.path());
        let folder = StateFolder::open(directory.path()).unwrap();
        folder.append("log").unwrap().write_all(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "old\nnew\n");
        assert_eq!((mode(directory.path()), mode(&log)), (0o700, 0o600));
    }

    #[test]
    fn nothing_is_written_through_a_link_or_to_a_pipe() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = directory.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let link = directory.path().join("link");
        symlink(&elsewhere, &link).unwrap();
        let error = StateFolder::open(&link).unwrap_err();
        assert!(error.to_string().ends_with("is no folder"), "{error}");

        let folder = StateFolder::open(&elsewhere).unwrap();
        let target = directory.path().join("target");
        symlink(&target, folder.at("log")).unwrap();
        assert!(folder.append("log").is_err());
        assert!(!target.exists());
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, folder.at("pipe"), pipe, 0o600.into(), 0).unwrap();
        assert!(folder.append("pipe").is_err());
    }

    #[test]
    fn a_folder_of_another_user_is_refused() {
        // The root of the file system is root's; root itself may give a folder away.
        let directory = tempfile::tempdir().unwrap();
        let path = if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(directory.path(), Some(65534), None).unwrap();
            directory.path()
        } else {
            Path::new("/")
        };
        let error = StateFolder::open(path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_file_that_the_user_named_may_be_a_link_and_is_closed_to_others() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("log"), directory.path().join("link"));
        fs::write(&path, "old\n").unwrap();
        open_to_all(&path);
        symlink(&path, &link).unwrap();
        append_to(&link).unwrap().write_all(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nnew\n");
        assert_eq!(mode(&path), 0o600);
    }
}
