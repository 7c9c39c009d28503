//! Devices that competitions name, as their maker describes them.

use std::collections::BTreeSet;

use crate::units::Bytes;

/// A GPU. Operations per second are of dense matrices; datasheets also print twice as much, for matrices half of zeros.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Device {
    /// The word on the command line.
    pub name: &'static str,
    /// What the maker calls it.
    pub title: &'static str,
    /// Where the numbers are from.
    pub source: &'static str,
    /// In decimal gigabytes, which is less than what some of them have.
    pub memory: Bytes,
    /// Of its memory, bytes per second.
    pub bandwidth: f64,
    /// bfloat16 and float16 with sums in float32, operations per second.
    pub bf16: f64,
    /// TF32, which PyTorch uses for float32 matrices only when told to.
    pub tf32: f64,
    /// float32.
    pub f32: f64,
    /// From the host, one direction, bytes per second.
    pub host_link: f64,
}

/// What weights are held and multiplied in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// float32, as the competition's starter kit loads every checkpoint.
    F32,
    /// bfloat16.
    Bf16,
}

impl Weights {
    /// Both.
    pub const ALL: [Weights; 2] = [Weights::F32, Weights::Bf16];

    /// The word in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Weights::F32 => "fp32",
            Weights::Bf16 => "bf16",
        }
    }

    /// Bytes of an element.
    pub fn size(self) -> u64 {
        match self {
            Weights::F32 => 4,
            Weights::Bf16 => 2,
        }
    }
}

impl Device {
    /// The device of that name.
    pub fn named(name: &str) -> Option<&'static Device> {
        DEVICES.iter().find(|device| device.name == name)
    }

    /// Whether a driver that names its device so means this one: `NVIDIA A100-SXM4-80GB`. Slices of a device and models for
    /// laptops have further words.
    pub fn is_called(&self, name: &str) -> bool {
        fn words(name: &str) -> BTreeSet<String> {
            let words = name.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_lowercase);
            words.filter(|word| !FORMS.contains(&word.as_str())).collect()
        }
        words(self.title) == words(name)
    }

    /// Peak operations per second; in float32 without TF32, as PyTorch multiplies by default.
    pub fn peak(&self, weights: Weights) -> f64 {
        match weights {
            Weights::F32 => self.f32,
            Weights::Bf16 => self.bf16,
        }
    }
}

/// Words that do not tell devices apart.
const FORMS: [&str; 7] = ["", "nvidia", "geforce", "pcie", "sxm", "sxm4", "sxm5"];

const GB: u64 = 1_000_000_000;
const PCIE_4_X16: f64 = 31.5e9;
const PCIE_5_X16: f64 = 63.0e9;

/// All devices, the slowest memory first.
pub const DEVICES: [Device; 5] = [
    Device {
        name: "a6000",
        title: "NVIDIA RTX A6000",
        source: "NVIDIA RTX A6000 datasheet; NVIDIA Ampere GA102 GPU Architecture whitepaper v2.1, appendix A",
        memory: Bytes(48 * GB),
        bandwidth: 768e9,
        bf16: 154.8e12,
        tf32: 77.4e12,
        f32: 38.7e12,
        host_link: PCIE_4_X16,
    },
    Device {
        name: "4090",
        title: "NVIDIA GeForce RTX 4090",
        source: "NVIDIA Ada GPU Architecture whitepaper v2.01, appendix A",
        memory: Bytes(24 * GB),
        bandwidth: 1008e9,
        bf16: 165.2e12,
        tf32: 82.6e12,
        f32: 82.6e12,
        host_link: PCIE_4_X16,
    },
    Device {
        name: "a100-40",
        title: "NVIDIA A100 40GB",
        source: "NVIDIA A100 Tensor Core GPU datasheet (first edition, 40GB)",
        memory: Bytes(40 * GB),
        bandwidth: 1555e9,
        bf16: 312e12,
        tf32: 156e12,
        f32: 19.5e12,
        host_link: PCIE_4_X16,
    },
    Device {
        name: "a100-80",
        title: "NVIDIA A100 80GB PCIe",
        source: "NVIDIA A100 Tensor Core GPU datasheet (80GB PCIe; SXM has 2039 GB/s)",
        memory: Bytes(80 * GB),
        bandwidth: 1935e9,
        bf16: 312e12,
        tf32: 156e12,
        f32: 19.5e12,
        host_link: PCIE_4_X16,
    },
    Device {
        name: "h200",
        title: "NVIDIA H200 SXM",
        source: "NVIDIA H200 Tensor Core GPU datasheet (tensor figures there are with sparsity, twice these)",
        memory: Bytes(141 * GB),
        bandwidth: 4800e9,
        bf16: 989.5e12,
        tf32: 494.5e12,
        f32: 67e12,
        host_link: PCIE_5_X16,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// As PyTorch's `get_device_name` prints them.
    #[test]
    fn drivers_names_are_understood() {
        for (name, device) in [
            ("NVIDIA RTX A6000", Some("a6000")),
            ("NVIDIA GeForce RTX 4090", Some("4090")),
            ("NVIDIA A100-SXM4-40GB", Some("a100-40")),
            ("NVIDIA A100-PCIE-40GB", Some("a100-40")),
            ("NVIDIA A100 80GB PCIe", Some("a100-80")),
            ("NVIDIA A100-SXM4-80GB", Some("a100-80")),
            ("NVIDIA H200", Some("h200")),
            ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
            ("NVIDIA A100-SXM4-40GB MIG 3g.20gb", None),
            ("NVIDIA RTX 6000 Ada Generation", None),
            ("x86_64", None),
        ] {
            let mut called = DEVICES.iter().filter(|device| device.is_called(name));
            assert_eq!(called.next().map(|device| device.name), device, "{name}");
            assert!(called.next().is_none(), "{name}");
        }
    }
}
