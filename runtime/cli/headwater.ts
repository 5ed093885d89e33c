import { AppError, messageOf } from "../../shared/errors.ts";
import { CliError } from "./cli-error.ts";
import { testCommand } from "./test-command.ts";

const USAGE = `usage: headwater COMMAND [options]

  test    run the scripts of a configuration on fixtures

headwater COMMAND --help tells more.
`;

const output = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};

async function main([command, ...args]: string[]): Promise<number> {
  switch (command) {
    case "test":
      return testCommand(args, process.env, output);
    case "--help":
    case "-h":
    case "help":
      output.out(USAGE);
      return 0;
    default:
      throw new CliError(
        command === undefined
          ? "which command? See headwater --help"
          : `there is no command "${command}": see headwater --help`,
      );
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const expected = error instanceof CliError || error instanceof AppError;
  output.err(`headwater: ${expected || !(error instanceof Error) ? messageOf(error) : error.stack}\n`);
  process.exitCode = 2;
}
