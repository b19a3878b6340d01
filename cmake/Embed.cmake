# Embed files in the binary: tomograph_embed(TARGET file...) makes bytes reachable as base/embedded.h says.
enable_language(ASM)
function(tomograph_embed target)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/${target}_embedded.S)
    set(table ${CMAKE_CURRENT_BINARY_DIR}/${target}_embedded.cpp)
    set(assembly ".section .rodata\n")
    set(declarations "")
    set(entries "")
    set(index 0)
    foreach(path IN LISTS ARGN)
        get_filename_component(name ${path} NAME)
        get_filename_component(absolute ${path} ABSOLUTE)
        string(APPEND assembly
            ".balign 64\n.global ${target}_begin_${index}\n${target}_begin_${index}:\n.incbin \"${absolute}\"\n"
            ".global ${target}_end_${index}\n${target}_end_${index}:\n.byte 0\n")
        string(APPEND declarations
            "extern const unsigned char ${target}_begin_${index}[], ${target}_end_${index}[];\n")
        string(APPEND entries
            "    if (name == \"${name}\") return {${target}_begin_${index}, static_cast<std::size_t>(${target}_end_${index} - ${target}_begin_${index})};\n")
        set_property(SOURCE ${source} APPEND PROPERTY OBJECT_DEPENDS ${absolute})
        math(EXPR index "${index} + 1")
    endforeach()
    string(APPEND assembly ".section .note.GNU-stack,\"\",%progbits\n")
    file(CONFIGURE OUTPUT ${source} CONTENT "${assembly}" @ONLY)
    file(CONFIGURE OUTPUT ${table} CONTENT
"#include <span>\n#include <string_view>\nextern \"C\" {\n${declarations}}\nnamespace tomograph {\nstd::span<const unsigned char> ${target}_file(std::string_view name);\nstd::span<const unsigned char> ${target}_file(std::string_view name) {\n${entries}    return {};\n}\n}  // namespace tomograph\n" @ONLY)
    target_sources(${target} PRIVATE ${source} ${table})
endfunction()
