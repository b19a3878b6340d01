#include "tomograph/cli/commands.h"
namespace tomograph { void add_run(CLI::App&, Progress&){} void add_plot(CLI::App&){} }
