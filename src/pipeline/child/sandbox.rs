//! Locks the process up: what it may use, and what it may ask of the kernel.
//!
//! The filter is a list of what is allowed. No socket, no file by its name, no other program, no other process: a
//! decoder that is taken over can compute, and speak with the host through descriptors that are open. Everything else
//! answers ENOSYS, which libraries know how to do without (and makes glibc start threads by `clone`, whose flags can be
//! looked at, instead of `clone3`). Whatever cannot be done here stops the child before it has read a byte.

use std::collections::BTreeMap;

use rustix::process::{
    Gid, Resource, Rlimit, Signal, Uid, geteuid, getppid, nice, set_parent_process_death_signal,
    setrlimit,
};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::super::limits::Limits;

/// `nobody` and `nogroup`, by the number that every system gives them (and user namespaces map last).
const NOBODY: u32 = 65_534;
/// Descriptors: the socket, the file, the log, and what GStreamer's queues and buses wake each other by.
const MAX_FILES: u64 = 64;

/// The kernel kills this process when the thread that started it ends, so with the host, even one killed by -9.
pub(super) fn die_with_the_host() -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("this kernel does not end children with their parent: {error}"))?;
    // It may have ended before we asked; then somebody has adopted us.
    match getppid() {
        Some(_) => Ok(()),
        None => Err("the host is gone".to_owned()),
    }
}

/// Limits, another user, the filter; in this order, and nothing can be undone.
pub(super) fn lock(limits: &Limits) -> Result<(), String> {
    let limit = |resource, most: u64| {
        let both = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, both).map_err(|error| format!("no limit can be set: {error}"))
    };
    limit(Resource::As, limits.memory_bytes)?;
    limit(Resource::Cpu, limits.cpu_s)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, MAX_FILES)?;
    // A child that is not nice is a nuisance, not a danger.
    nice(limits.nice).ok();
    if geteuid().is_root() {
        become_nobody()?;
        // A change of user has undone it.
        die_with_the_host()?;
    }
    let filter =
        filter().map_err(|error| format!("there is no filter of system calls: {error}"))?;
    apply_filter_all_threads(&filter)
        .map_err(|error| format!("the filter of system calls cannot be installed: {error}"))?;
    Ok(())
}

fn become_nobody() -> Result<(), String> {
    // The kernel changes the user of one thread only.
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads != 1 {
        return Err(format!("{threads} threads before the change of user"));
    }
    let refused = |error| format!("root's rights cannot be given up: {error}");
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    set_thread_groups(&[]).map_err(refused)?;
    set_thread_res_gid(gid, gid, gid).map_err(refused)?;
    set_thread_res_uid(uid, uid, uid).map_err(refused)
}

/// Allowed whatever the arguments are.
const PLAIN: &[libc::c_long] = &[
    // Descriptors that are open.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_fcntl,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    // Memory.
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // Threads.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time and chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    // What the machine is like.
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
];

/// Older names of the same on this architecture.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in PLAIN.iter().chain(OLDER) {
        rules.insert(*call, Vec::new());
    }
    let bits = |value: libc::c_int| u64::from(value.unsigned_abs());
    let only = |argument: u8, operator, value| -> Result<Vec<SeccompRule>, _> {
        let length = SeccompCmpArgLen::Qword;
        let condition = SeccompCondition::new(argument, length, operator, value)?;
        Ok(vec![SeccompRule::new(vec![condition])?])
    };
    // A thread, never a process.
    let thread = bits(libc::CLONE_THREAD);
    rules.insert(
        libc::SYS_clone,
        only(0, SeccompCmpOp::MaskedEq(thread), thread)?,
    );
    // Two ends that know nobody else: how GStreamer wakes who waits for a bus. Not a way out.
    let pair = only(0, SeccompCmpOp::Eq, bits(libc::AF_UNIX))?;
    rules.insert(libc::SYS_socketpair, pair);
    // Names of threads.
    let name = only(0, SeccompCmpOp::Eq, bits(libc::PR_SET_NAME))?;
    rules.insert(libc::SYS_prctl, name);
    // Reading limits, not setting them.
    let read = only(2, SeccompCmpOp::Eq, 0)?;
    rules.insert(libc::SYS_prlimit64, read);
    // A signal to itself: how `abort` ends.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, only(0, SeccompCmpOp::Eq, own)?);
    let refused = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, refused, SeccompAction::Allow, architecture)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_reaches_out_is_on_the_list() {
        for call in [
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_clone3,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_io_uring_setup,
            libc::SYS_bpf,
            libc::SYS_kill,
            libc::SYS_ioctl,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_memfd_create,
            libc::SYS_keyctl,
            libc::SYS_userfaultfd,
        ] {
            assert!(!PLAIN.contains(&call) && !OLDER.contains(&call), "{call}");
        }
        assert!(filter().is_ok());
    }
}
