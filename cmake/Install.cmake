# cmake --install gives the binary, the headers, the rooms as static libraries and find_package(tomograph).
include(CMakePackageConfigHelpers)
install(TARGETS tomograph_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS ${TOMOGRAPH_ROOMS} tomograph_compile EXPORT tomograph
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/tomograph)
install(DIRECTORY src/tomograph DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT tomograph NAMESPACE tomograph:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tomograph
    FILE tomograph-targets.cmake)
configure_package_config_file(cmake/tomograph-config.cmake.in ${CMAKE_BINARY_DIR}/tomograph-config.cmake
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tomograph)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/tomograph-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/tomograph-config.cmake ${CMAKE_BINARY_DIR}/tomograph-config-version.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tomograph)
