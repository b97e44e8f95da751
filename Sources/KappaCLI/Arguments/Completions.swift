import KappaCore

/// Shell completions, generated from the commands' specifications.
enum Completions {
    static func script(_ shell: String) -> String? {
        switch shell {
        case "bash": bash
        case "zsh": zsh
        case "fish": fish
        default: nil
        }
    }

    private static var firstWords: [String] {
        var words: [String] = []
        for spec in Commands.shown {
            let word = String(spec.name.split(separator: " ")[0])
            if !words.contains(word) { words.append(word) }
        }
        return words + ["help"]
    }

    private static func secondWords(_ first: String) -> [String] {
        Commands.shown.compactMap { spec in
            let words = spec.name.split(separator: " ")
            return words.count == 2 && words[0] == first ? String(words[1]) : nil
        }
    }

    private static var bash: String {
        var cases = ""
        for spec in Commands.shown {
            let options = spec.allOptions.map(\.name).joined(separator: " ")
            cases += "        \"\(spec.name)\") words=\"\(options)\" ;;\n"
        }
        for first in firstWords where !secondWords(first).isEmpty {
            cases += "        \(first)) words=\"\(secondWords(first).joined(separator: " "))\" ;;\n"
        }
        return """
            _kappa() {
                local current="${COMP_WORDS[COMP_CWORD]}" words="" views=""
                if [ "$COMP_CWORD" -eq 1 ]; then
                    words="\(firstWords.joined(separator: " "))"
                else
                    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
            \(secondCases)
                    *) case "${COMP_WORDS[1]}" in
            \(cases)        esac ;;
                    esac
                    case "$current" in
                    -*) ;;
                    *) views="$(kappa views --format csv 2>/dev/null | tail -n +2 | cut -d, -f1)" ;;
                    esac
                fi
                COMPREPLY=($(compgen -W "$words $views" -- "$current"))
                [ "${#COMPREPLY[@]}" -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
            }
            complete -F _kappa kappa
            """
    }

    /// The cases of commands of two words.
    private static var secondCases: String {
        Commands.shown.filter { $0.name.contains(" ") }.map { spec in
            "        \"\(spec.name)\") words=\"\(spec.allOptions.map(\.name).joined(separator: " "))\" ;;"
        }.joined(separator: "\n")
    }

    private static var zsh: String {
        """
        #compdef kappa
        autoload -U +X bashcompinit && bashcompinit
        \(bash)
        """
    }

    /// The text with single quotes escaped, for a quoted string in fish.
    private static func quotable(_ text: String) -> String {
        text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "\\'")
    }

    private static var fish: String {
        var lines = ["complete -c kappa -f"]
        let seen = "__fish_use_subcommand"
        for spec in Commands.shown {
            let words = spec.name.split(separator: " ").map(String.init)
            let summary = quotable(spec.summary)
            if words.count == 1 {
                lines.append("complete -c kappa -n \(seen) -a \(words[0]) -d '\(summary)'")
            } else {
                lines.append("complete -c kappa -n \(seen) -a \(words[0])")
                lines.append(
                    "complete -c kappa -n '__fish_seen_subcommand_from \(words[0])' "
                        + "-a \(words[1]) -d '\(summary)'")
            }
            for option in spec.options {
                let flag = option.name.dropFirst(2)
                let takes = option.value == nil ? "" : " -r"
                lines.append(
                    "complete -c kappa -n '__fish_seen_subcommand_from \(words[words.count - 1])' "
                        + "-l \(flag)\(takes) -d '\(quotable(option.explanation))'")
            }
        }
        lines.append("complete -c kappa -l data -r -d 'the data folder'")
        lines.append("complete -c kappa -l format -r -a 'text json csv'")
        lines.append(
            "complete -c kappa -a '(kappa views --format csv 2>/dev/null | tail -n +2 | cut -d, -f1)'"
        )
        return lines.joined(separator: "\n")
    }
}
