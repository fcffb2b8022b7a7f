# SPDX-License-Identifier: MIT
#
# What 'cmake --install' puts where: libraries, headers, the pkg-config file and the CMake package. Both packages find their
# files relative to themselves, so that an installed tree can be moved. tests/install/ proves it.
include(CMakePackageConfigHelpers)

if(NOT PER_IS_TOP_LEVEL)
	return()
endif()

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Peregrine")
install(TARGETS ${library_targets} EXPORT PeregrineTargets
	ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
	LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY include/peregrine DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
install(EXPORT PeregrineTargets NAMESPACE Peregrine:: DESTINATION "${package_dir}")

configure_package_config_file(cmake/PeregrineConfig.cmake.in "${PROJECT_BINARY_DIR}/PeregrineConfig.cmake"
	INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/PeregrineConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/PeregrineConfig.cmake" "${PROJECT_BINARY_DIR}/PeregrineConfigVersion.cmake"
	DESTINATION "${package_dir}")

# The way from the .pc file's folder back to the prefix.
set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
set(pc_libdir "${CMAKE_INSTALL_FULL_LIBDIR}")
set(pc_includedir "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
	file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
	string(REGEX REPLACE "/$" "" up "${up}")
	set(pc_prefix "\${pcfiledir}/${up}")
	set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
	set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
set(pc_requires_private "zlib, libssl >= 3.0, libcrypto >= 3.0")
if("io_uring" IN_LIST PER_BACKENDS)
	string(APPEND pc_requires_private ", liburing >= 2.3")
endif()
configure_file(cmake/peregrine.pc.in "${PROJECT_BINARY_DIR}/peregrine.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/peregrine.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# Manual pages, where scdoc can make them.
find_program(SCDOC scdoc)
file(GLOB manual_pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/docs/man/*.scd")
if(PER_PROGRAMS AND SCDOC)
	set(made_pages)
	foreach(source IN LISTS manual_pages)
		get_filename_component(page "${source}" NAME_WLE)
		string(REGEX REPLACE ".*\\." "" section "${page}")
		set(made "${PROJECT_BINARY_DIR}/man/${page}")
		add_custom_command(OUTPUT "${made}" DEPENDS "${source}" VERBATIM
			COMMAND "${CMAKE_COMMAND}" -E make_directory "${PROJECT_BINARY_DIR}/man"
			COMMAND sh -c "exec '${SCDOC}' <'${source}' >'${made}'")
		list(APPEND made_pages "${made}")
		install(FILES "${made}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
	endforeach()
	add_custom_target(manual ALL DEPENDS ${made_pages})
elseif(PER_PROGRAMS)
	message(STATUS "scdoc was not found: no manual pages (Debian: scdoc)")
endif()

# What runs the program: units of systemd, and a configuration to start from.
if(PER_PROGRAMS AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
	set(units "${PROJECT_SOURCE_DIR}/cmd/peregrine/systemd")
	configure_file("${units}/peregrine.service.in" "${PROJECT_BINARY_DIR}/peregrine.service" @ONLY)
	# Again when it is installed: only then is the prefix known for sure (cmake --install --prefix).
	set(unit "${PROJECT_BINARY_DIR}/installed/peregrine.service")
	install(CODE "get_filename_component(CMAKE_INSTALL_FULL_BINDIR \"${CMAKE_INSTALL_BINDIR}\" ABSOLUTE
		BASE_DIR \"\${CMAKE_INSTALL_PREFIX}\")
		configure_file(\"${units}/peregrine.service.in\" \"${unit}\" @ONLY)")
	install(FILES "${unit}" "${units}/peregrine.socket" DESTINATION lib/systemd/system)
endif()
if(PER_PROGRAMS)
	install(FILES examples/peregrine.yaml DESTINATION "${CMAKE_INSTALL_DOCDIR}")
endif()
