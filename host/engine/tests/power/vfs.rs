//! SQLite's way to the disks of this test: a VFS that takes the place of the operating system's in this process.
//!
//! Only what touches C is here. It behaves as SQLite's own VFS on Linux does: same sector size, same promises about the
//! device, same moments at which a folder is synced.
#![expect(unsafe_code, reason = "SQLite calls a VFS through C")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Once;
use std::time::Duration;

use rusqlite::ffi;

use super::disk::{Image, Mounted, locate, sleep};
use super::handle::Handle;

/// What SQLite allocates for an open file.
#[repr(C)]
struct OpenFile {
    base: ffi::sqlite3_file,
    handle: *mut Handle,
}

/// Makes the test's VFS the one that SQLite uses.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: SQLite's own VFS exists from its initialisation, which `sqlite3_vfs_find` does, to the end of the process.
        let system = unsafe { *ffi::sqlite3_vfs_find(ptr::null()) };
        let vfs = ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: c_int::try_from(size_of::<OpenFile>()).unwrap(),
            mxPathname: 512,
            pNext: ptr::null_mut(),
            zName: c"power".as_ptr(),
            pAppData: ptr::null_mut(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xSleep: Some(vfs_sleep),
            // Randomness and time come from the system; its functions for them use no field of the VFS.
            ..system
        };
        // SAFETY: the VFS is never freed, and all its functions keep SQLite's contract.
        let registered = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1) };
        assert_eq!(registered, ffi::SQLITE_OK);
    });
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// # Safety
/// `file` was opened by [`open`] and not closed since; nobody else uses it meanwhile (SQLite serialises a connection).
unsafe fn handle<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Handle {
    // SAFETY: by this function's own contract, `open` has stored a handle there, and only `close` frees it.
    unsafe { &mut *(*file.cast::<OpenFile>()).handle }
}

/// # Safety
/// `path` is a C string that outlives the answer.
unsafe fn text<'a>(path: *const c_char) -> &'a str {
    // SAFETY: by this function's own contract.
    let path = unsafe { CStr::from_ptr(path) };
    path.to_str().expect("the tests' paths are ASCII")
}

fn code(done: Result<(), i32>) -> c_int {
    done.err().unwrap_or(ffi::SQLITE_OK)
}

/// A number that SQLite never makes negative.
fn unsigned(number: impl TryInto<usize>) -> usize {
    number
        .try_into()
        .unwrap_or_else(|_| panic!("SQLite gave a negative number"))
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // Temporary files have no name. They get a disk of their own: no store is made of them.
    let opened = if name.is_null() {
        let disk = Mounted::new(&Image::new());
        Handle::open(disk.path().to_str().unwrap(), flags)
    } else {
        // SAFETY: SQLite gives a C string that it keeps until the file is closed.
        Handle::open(unsafe { text(name) }, flags)
    };
    let file = file.cast::<OpenFile>();
    let (methods, handle, answer) = match opened {
        Ok(handle) => (
            ptr::from_ref(&METHODS),
            Box::into_raw(Box::new(handle)),
            ffi::SQLITE_OK,
        ),
        // Without methods, SQLite does not call `close`.
        Err(error) => (ptr::null(), ptr::null_mut(), error),
    };
    // SAFETY: SQLite has allocated `szOsFile` bytes there, aligned for pointers, and holds nothing in them yet.
    unsafe {
        file.write(OpenFile {
            base: ffi::sqlite3_file { pMethods: methods },
            handle,
        });
    }
    if !out_flags.is_null() {
        // SAFETY: not null, so SQLite wants the flags there.
        unsafe { *out_flags = flags };
    }
    answer
}

unsafe extern "C" fn delete(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: SQLite gives a C string.
    let Some((disk, name)) = locate(unsafe { text(name) }) else {
        return ffi::SQLITE_IOERR_DELETE_NOENT;
    };
    code(disk.delete(&name, sync_folder != 0))
}

unsafe extern "C" fn access(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a C string.
    let exists = match locate(unsafe { text(name) }) {
        Some((disk, name)) => disk.exists(&name),
        None => Ok(false),
    };
    match exists {
        Ok(exists) => {
            // SAFETY: SQLite wants the answer there.
            unsafe { *out = c_int::from(exists) };
            ffi::SQLITE_OK
        }
        Err(error) => error,
    }
}

unsafe extern "C" fn full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a C string.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if name.len() > unsigned(length) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: `out` has room for `length` bytes and is another buffer than `name`.
    unsafe { ptr::copy_nonoverlapping(name.as_ptr().cast(), out, name.len()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn vfs_sleep(_vfs: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    sleep(Duration::from_micros(micros.unsigned_abs().into()));
    micros
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let file = file.cast::<OpenFile>();
    // SAFETY: the file is open, so `open` has made this box; SQLite does not use it again.
    drop(unsafe { Box::from_raw((*file).handle) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    let length = unsigned(length);
    // SAFETY: SQLite's buffer has room for `length` bytes, all of which it lets us write.
    let into = unsafe {
        ptr::write_bytes(into.cast::<u8>(), 0, length);
        std::slice::from_raw_parts_mut(into.cast::<u8>(), length)
    };
    // SAFETY: the file is open.
    match unsafe { handle(file) }.read(unsigned(offset), into) {
        Ok(found) if found == length => ffi::SQLITE_OK,
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(error) => error,
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    length: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite's buffer holds `length` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), unsigned(length)) };
    // SAFETY: the file is open.
    code(unsafe { handle(file) }.write(unsigned(offset), bytes))
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { handle(file) }.resize(unsigned(length)))
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { handle(file) }.sync())
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: the file is open.
    match unsafe { handle(file) }.size() {
        Ok(size) => {
            // SAFETY: SQLite wants the answer there.
            unsafe { *out = i64::try_from(size).unwrap() };
            ffi::SQLITE_OK
        }
        Err(error) => error,
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { handle(file) }.lock(level))
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { handle(file) }.unlock(level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: the file is open, and SQLite wants the answer there.
    unsafe { *out = c_int::from(handle(file).reserved()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(
    _file: *mut ffi::sqlite3_file,
    _operation: c_int,
    _argument: *mut c_void,
) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE | ffi::SQLITE_IOCAP_SUBPAGE_READ
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    index: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: the file is open.
    let region = unsafe { handle(file) }.region(unsigned(index), unsigned(bytes), extend != 0);
    // SAFETY: SQLite wants the answer there.
    unsafe { *out = region.map_or(ptr::null_mut(), |start| start.cast()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let mask = u8::try_from(((1_u32 << count) - 1) << first).unwrap();
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        handle.release_slots(mask);
        return ffi::SQLITE_OK;
    }
    code(handle.take_slots(mask, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0))
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {
    Handle::barrier();
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { handle(file) }.leave_memory();
    ffi::SQLITE_OK
}
