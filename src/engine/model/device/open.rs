//! The device of a name.

use std::panic::catch_unwind;

use candle_core::Device;
use thiserror::Error;

/// Why there is no such device.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// Not a name of a device.
    #[error("no device is called {name:?}; valid are cpu, cuda and cuda:N with N counted from 0")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// Compiled without the feature.
    #[error(
        "this program was built without CUDA; build it with --features cuda (README, section GPU)"
    )]
    BuiltWithoutCuda,
    /// CUDA's libraries cannot be loaded.
    #[error(
        "CUDA cannot be loaded for cuda:{ordinal}; it needs NVIDIA's driver (libcuda) and the folders of libcublas and libcurand in LD_LIBRARY_PATH"
    )]
    NoCuda {
        /// Which GPU was asked for.
        ordinal: usize,
    },
    /// CUDA is there, the GPU is not, or is not usable.
    #[error("cuda:{ordinal} cannot be opened; nvidia-smi lists the GPUs that there are")]
    NotOpened {
        /// Which GPU was asked for.
        ordinal: usize,
        /// What candle says.
        #[source]
        source: candle_core::Error,
    },
}

/// `cpu`, `cuda` (the first GPU) or `cuda:N`.
///
/// # Errors
/// [`DeviceError`].
pub fn open(name: &str) -> Result<Device, DeviceError> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    let ordinal = match name.strip_prefix("cuda") {
        Some("") => Some(0),
        Some(rest) => rest.strip_prefix(':').and_then(|number| number.parse().ok()),
        None => None,
    };
    match ordinal {
        Some(ordinal) => open_cuda(ordinal),
        None => Err(DeviceError::Unknown { name: name.to_owned() }),
    }
}

fn open_cuda(ordinal: usize) -> Result<Device, DeviceError> {
    // Whether candle was compiled with it; says nothing of the machine.
    if !candle_core::utils::cuda_is_available() {
        return Err(DeviceError::BuiltWithoutCuda);
    }
    // cudarc panics where a library of CUDA cannot be loaded.
    match catch_unwind(|| Device::new_cuda(ordinal)) {
        Ok(device) => device.map_err(|source| DeviceError::NotOpened { ordinal, source }),
        Err(_) => Err(DeviceError::NoCuda { ordinal }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert!(matches!(open("cpu"), Ok(Device::Cpu)));
        for name in ["gpu", "cuda:", "cuda:x", "cuda0", "", "metal"] {
            assert!(matches!(open(name), Err(DeviceError::Unknown { .. })), "{name}");
        }
    }

    #[test]
    fn a_build_without_cuda_says_how_to_get_it() {
        if candle_core::utils::cuda_is_available() {
            return;
        }
        for name in ["cuda", "cuda:1"] {
            let error = open(name).unwrap_err();
            assert!(error.to_string().contains("--features cuda"), "{error}");
        }
    }
}
