# SPDX-License-Identifier: MIT
#
# The library in three forms: peregrine_static and peregrine_shared, which are installed, and peregrine_testing, which has
# every backend that can run here (kqueue through a shim on Linux), the simulator, and all assertions.
per_backend_sources(library_sources ${PER_BACKENDS})
per_backend_definitions(library_definitions ${PER_BACKENDS})
set(library_targets peregrine_static)
add_library(peregrine_static STATIC ${library_sources})
set_target_properties(peregrine_static PROPERTIES EXPORT_NAME static)
if(PER_SHARED)
	list(APPEND library_targets peregrine_shared)
	add_library(peregrine_shared SHARED ${library_sources})
	set_target_properties(peregrine_shared PROPERTIES
		EXPORT_NAME peregrine
		VERSION ${PROJECT_VERSION}
		SOVERSION ${PROJECT_VERSION_MAJOR})
	check_c_compiler_flag(-fno-semantic-interposition PER_CC_HAS_NO_INTERPOSITION)
	if(PER_CC_HAS_NO_INTERPOSITION)
		target_compile_options(peregrine_shared PRIVATE -fno-semantic-interposition)
	endif()
	if(NOT APPLE AND NOT PER_SANITIZE)
		target_link_options(peregrine_shared PRIVATE -Wl,--no-undefined -Wl,--as-needed)
	endif()
endif()

foreach(target IN LISTS library_targets)
	set_target_properties(${target} PROPERTIES OUTPUT_NAME peregrine C_VISIBILITY_PRESET hidden)
	target_compile_definitions(${target} PRIVATE ${library_definitions})
	target_include_directories(${target}
		PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>"
		PRIVATE "${PROJECT_SOURCE_DIR}/src")
	target_link_libraries(${target} PRIVATE "$<BUILD_INTERFACE:per_flags>" Threads::Threads ZLIB::ZLIB OpenSSL::SSL OpenSSL::Crypto)
	if("io_uring" IN_LIST PER_BACKENDS)
		target_link_libraries(${target} PRIVATE PkgConfig::LIBURING)
	endif()
endforeach()

add_library(Peregrine::static ALIAS peregrine_static)
if(PER_SHARED)
	add_library(Peregrine::peregrine ALIAS peregrine_shared)
else()
	add_library(Peregrine::peregrine ALIAS peregrine_static)
endif()

if(PER_TESTS OR PER_FUZZ)
	set(shim "${PROJECT_SOURCE_DIR}/tests/support/kqueue_shim")
	set(has_shim OFF)
	if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND EXISTS "${shim}" AND EXISTS "${PROJECT_SOURCE_DIR}/src/backend/kqueue.c")
		set(has_shim ON)
		list(APPEND PER_TESTING_BACKENDS kqueue)
	endif()
	per_backend_sources(testing_sources ${PER_TESTING_BACKENDS})
	per_backend_definitions(testing_definitions ${PER_TESTING_BACKENDS})
	file(GLOB sim_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/sim/*.c")
	list(FILTER sim_sources EXCLUDE REGEX "_test\\.c$")
	if(EXISTS "${PROJECT_SOURCE_DIR}/tests/sim/sim_backend.c")
		list(APPEND testing_definitions PER_HAVE_SIM)
	endif()

	add_library(peregrine_testing STATIC ${testing_sources} ${sim_sources})
	if(has_shim)
		file(GLOB_RECURSE shim_sources CONFIGURE_DEPENDS "${shim}/*.c")
		target_sources(peregrine_testing PRIVATE ${shim_sources})
		target_include_directories(peregrine_testing BEFORE PUBLIC "${shim}")
	endif()
	target_compile_definitions(peregrine_testing PUBLIC ${testing_definitions} PER_TESTING PER_DEBUG)
	target_include_directories(peregrine_testing PUBLIC
		"${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/tests")
	target_link_libraries(peregrine_testing PUBLIC per_flags Threads::Threads ZLIB::ZLIB OpenSSL::SSL OpenSSL::Crypto)
	if("io_uring" IN_LIST PER_TESTING_BACKENDS)
		target_link_libraries(peregrine_testing PUBLIC PkgConfig::LIBURING)
	endif()
endif()
