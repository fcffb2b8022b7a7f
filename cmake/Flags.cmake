# SPDX-License-Identifier: MIT
#
# Compiler and linker flags: the interface target per_flags carries what every file of the project is built with.
# It is never installed: a program that embeds Peregrine chooses its own flags.
include(CheckCCompilerFlag)
include(CheckIPOSupported)
include(GNUInstallDirs)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
	set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
endif()
# CMake's own choice is "-O3 -DNDEBUG"; another one is the user's.
if(CMAKE_C_FLAGS_RELEASE STREQUAL "-O3 -DNDEBUG")
	set(CMAKE_C_FLAGS_RELEASE "-O2")
endif()

add_library(per_flags INTERFACE)
target_compile_definitions(per_flags INTERFACE _GNU_SOURCE)
target_compile_options(per_flags INTERFACE
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wvla)
if(PER_WERROR)
	target_compile_options(per_flags INTERFACE -Werror)
endif()

# Calls into other shared libraries go through the table directly, not through a stub.
check_c_compiler_flag(-fno-plt PER_CC_HAS_NO_PLT)
if(PER_CC_HAS_NO_PLT AND NOT APPLE)
	target_compile_options(per_flags INTERFACE -fno-plt)
endif()

if(PER_DEBUG OR PER_SANITIZE)
	target_compile_definitions(per_flags INTERFACE PER_DEBUG)
endif()
if(PER_PROFILE)
	target_compile_options(per_flags INTERFACE -g -fno-omit-frame-pointer)
endif()
if(PER_SANITIZE)
	target_compile_options(per_flags INTERFACE -fsanitize=${PER_SANITIZE} -fno-omit-frame-pointer -g)
	target_link_options(per_flags INTERFACE -fsanitize=${PER_SANITIZE})
	if(PER_SANITIZE MATCHES "undefined")
		target_compile_options(per_flags INTERFACE -fno-sanitize-recover=all)
	endif()
endif()
if(PER_COVERAGE)
	# Several threads count at once.
	target_compile_options(per_flags INTERFACE --coverage -fprofile-update=atomic)
	target_link_options(per_flags INTERFACE --coverage)
endif()
if(PER_FUZZ)
	if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
		message(FATAL_ERROR "PER_FUZZ needs clang: libFuzzer is part of it. Use the preset 'fuzz'.")
	endif()
	target_compile_options(per_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(PER_LTO)
	check_ipo_supported(RESULT has_ipo OUTPUT ipo_reason LANGUAGES C)
	if(NOT has_ipo)
		message(FATAL_ERROR "PER_LTO: this compiler cannot do it: ${ipo_reason}")
	endif()
	set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
	if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
		# So that the installed static library also works for a linker without the plugin.
		target_compile_options(per_flags INTERFACE -ffat-lto-objects)
	endif()
endif()
