# Whether the CUDA kernels are built, with which compiler and for which GPUs: sets with_cuda, and
# enables CMake's language CUDA for CMAKE_CUDA_ARCHITECTURES.
#
# GRADWIRE_WITH_CUDA, by -D or else from the environment: AUTO (the default: if nvcc is found and
# works), ON or 1, OFF or 0. nvcc: CMAKE_CUDA_COMPILER or CUDACXX, else that of CUDA_HOME, CUDA_PATH or
# CUDAToolkit_ROOT, on PATH or in /usr/local/cuda.
# Architectures: CMAKE_CUDA_ARCHITECTURES, else CUDAARCHS or TORCH_CUDA_ARCH_LIST of the environment.

# Sets `out` to AUTO, ON or OFF.
function(gradwire_read_cuda_switch out)
    set(switch "$ENV{GRADWIRE_WITH_CUDA}")
    if(DEFINED GRADWIRE_WITH_CUDA)
        set(switch "${GRADWIRE_WITH_CUDA}")
    endif()
    string(TOUPPER "${switch}" switch)
    if(switch STREQUAL "")
        set(switch AUTO)
    elseif(switch MATCHES "^(1|ON|TRUE|YES)$")
        set(switch ON)
    elseif(switch MATCHES "^(0|OFF|FALSE|NO)$")
        set(switch OFF)
    elseif(NOT switch STREQUAL "AUTO")
        message(FATAL_ERROR "gradwire: GRADWIRE_WITH_CUDA must be AUTO, 1 (ON) or 0 (OFF), got ${switch}")
    endif()
    set(${out} ${switch} PARENT_SCOPE)
endfunction()

# Sets `out` to whether there is a CUDA compiler that works.
function(gradwire_find_cuda_compiler out)
    # What an earlier search in this build folder did not find, or found, may have changed.
    if(NOT CMAKE_CUDA_COMPILER)
        unset(CMAKE_CUDA_COMPILER CACHE)
    endif()
    unset(GRADWIRE_NVCC CACHE)
    if(NOT DEFINED CMAKE_CUDA_COMPILER AND "$ENV{CUDACXX}" STREQUAL "")
        find_program(GRADWIRE_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH ENV CUDAToolkit_ROOT
                     PATHS /usr/local/cuda PATH_SUFFIXES bin)
        mark_as_advanced(GRADWIRE_NVCC)
        if(GRADWIRE_NVCC)
            set(ENV{CUDACXX} "${GRADWIRE_NVCC}")
        endif()
    endif()
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
        set(${out} ON PARENT_SCOPE)
    else()
        set(${out} OFF PARENT_SCOPE)
    endif()
endfunction()

# Refuses an item of a list of architectures that CMake does not know.
function(gradwire_check_architecture variable arch)
    if(NOT arch MATCHES "^([0-9]+[a-z]?(-real|-virtual)?|native|all|all-major)$")
        message(FATAL_ERROR "gradwire: ${variable} has '${arch}', which must be like 90, 90-real (code for "
                            "that GPU only), 90-virtual, native, all or all-major; ';' between several")
    endif()
endfunction()

# Sets `out` to what torch's variable says in CMake's words: "8.0;9.0+PTX" is "80-real;90".
function(gradwire_read_torch_architectures out)
    string(REGEX REPLACE "[ ,;]+" ";" items "$ENV{TORCH_CUDA_ARCH_LIST}")
    set(architectures "")
    foreach(item IN LISTS items)
        if(NOT item MATCHES "^([0-9]+)\\.([0-9]+[a-z]?)(\\+PTX)?$")
            message(FATAL_ERROR "gradwire: TORCH_CUDA_ARCH_LIST has '${item}', which must be a compute "
                                "capability like 9.0 or 9.0+PTX; gradwire knows no names")
        endif()
        set(number "${CMAKE_MATCH_1}${CMAKE_MATCH_2}")
        if("${CMAKE_MATCH_3}" STREQUAL "")
            list(APPEND architectures ${number}-real)
        else()
            list(APPEND architectures ${number})
        endif()
    endforeach()
    set(${out} ${architectures} PARENT_SCOPE)
endfunction()

# Sets `out` to the architectures that somebody asked for, or to nothing.
function(gradwire_read_architectures out)
    set(architectures "")
    if(CMAKE_CUDA_ARCHITECTURES)
        set(architectures ${CMAKE_CUDA_ARCHITECTURES})
        set(variable CMAKE_CUDA_ARCHITECTURES)
    elseif(NOT "${cuda_archs}" STREQUAL "")
        set(architectures ${cuda_archs})
        set(variable CUDAARCHS)
    elseif(NOT "$ENV{TORCH_CUDA_ARCH_LIST}" STREQUAL "")
        gradwire_read_torch_architectures(architectures)
    endif()
    foreach(arch IN LISTS architectures)
        gradwire_check_architecture("${variable}" "${arch}")
    endforeach()
    set(${out} ${architectures} PARENT_SCOPE)
endfunction()

# CMake must not see them: wrong ones would look like a compiler that does not work, and any would be
# kept for later runs in this build folder.
set(cuda_archs "$ENV{CUDAARCHS}")
unset(ENV{CUDAARCHS})
gradwire_read_cuda_switch(cuda_switch)
set(with_cuda OFF)
if(cuda_switch STREQUAL "OFF")
    message(STATUS "gradwire: CUDA is switched off")
else()
    gradwire_find_cuda_compiler(with_cuda)
    if(NOT with_cuda AND cuda_switch STREQUAL "ON")
        message(FATAL_ERROR "gradwire: GRADWIRE_WITH_CUDA=1 needs a CUDA compiler, and none that works was found: "
                            "put nvcc on PATH or its path into CUDACXX. GRADWIRE_WITH_CUDA=0 builds the CPU "
                            "kernels only.")
    elseif(NOT with_cuda)
        message(STATUS "gradwire: no CUDA compiler that works was found: building the CPU kernels only")
    endif()
endif()
if(with_cuda)
    gradwire_read_architectures(asked_architectures)
    if(asked_architectures)
        set(CMAKE_CUDA_ARCHITECTURES ${asked_architectures})
    else()
        set(CMAKE_CUDA_ARCHITECTURES 75-real)  # until the compiler's version is known
    endif()
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
    enable_language(CUDA)
    # Those of most machines, and code for later ones.
    if(NOT asked_architectures AND CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
        set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 120)
    elseif(NOT asked_architectures)
        set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90)
    endif()
    if("native" IN_LIST CMAKE_CUDA_ARCHITECTURES AND NOT CMAKE_CUDA_ARCHITECTURES_NATIVE MATCHES "^[0-9]")
        message(FATAL_ERROR "gradwire: CUDA architecture 'native' needs a GPU in this machine, and there is "
                            "none: name it by its compute capability, such as CUDAARCHS=90 for 9.0")
    endif()
    message(STATUS "gradwire: CUDA kernels for ${CMAKE_CUDA_ARCHITECTURES}, "
                   "with ${CMAKE_CUDA_COMPILER} ${CMAKE_CUDA_COMPILER_VERSION}")
endif()
