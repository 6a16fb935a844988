//! What the kernel knows of this process: memory and processor time.

use std::fs;
use std::time::Duration;

/// Memory of this process, in kB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident now (`VmRSS`).
    pub resident_kb: u64,
    /// The most that was ever resident (`VmHWM`).
    pub peak_resident_kb: u64,
    /// Address space (`VmSize`).
    pub virtual_kb: u64,
}

/// Memory of this process as `/proc/self/status` has it; zeros where that file is not to be had.
pub fn memory() -> Memory {
    fs::read_to_string("/proc/self/status").map(|status| parse_status(&status)).unwrap_or_default()
}

fn parse_status(status: &str) -> Memory {
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    };
    Memory { resident_kb: field("VmRSS"), peak_resident_kb: field("VmHWM"), virtual_kb: field("VmSize") }
}

/// Processor time that all threads of this process have used, user and system together.
pub fn cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(spent.tv_sec).unwrap_or(0), u32::try_from(spent.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = "Name:\tx\nVmPeak:\t 9 kB\nVmSize:\t  8216 kB\nVmHWM:\t    1208 kB\nVmRSS:\t    1100 kB\n";
        assert_eq!(
            parse_status(text),
            Memory { resident_kb: 1100, peak_resident_kb: 1208, virtual_kb: 8216 }
        );
        assert_eq!(parse_status("VmRSS:"), Memory::default());
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let before = cpu_time();
        let ballast = vec![1u8; 32 << 20];
        let memory = memory();
        assert!(memory.resident_kb > 32 << 10, "{memory:?}");
        assert!(memory.peak_resident_kb >= memory.resident_kb && memory.virtual_kb > memory.resident_kb);
        assert!(ballast.iter().map(|b| u64::from(*b)).sum::<u64>() == 32 << 20);
        assert!(cpu_time() > before);
    }
}
